"""The API answers what the index finds; whatever it is sent, it neither breaks nor tells more."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
import resource
import threading
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from lookalike.errors import UsageError
from lookalike.inference import Encoder
from lookalike.neighbors.index import Index
from lookalike.server.app import create_app
from lookalike.server.limits import HEADERS, MAX_BYTES

HERE = "http://127.0.0.1:8765"


def upload(client: TestClient, content: bytes, *, name: str = "x.jpg", **words: Any) -> Any:
    return client.post("/api/search", files={"image": (name, content)}, params=words)


def black() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20)).save(file, "PNG")
    return file.getvalue()


def test_facts_are_those_of_the_collection(client, index, encoder):
    facts = client.get("/api/collection").json()
    assert facts["name"] == "photos.vec"
    assert (facts["images"], facts["pictures"], facts["dim"]) == (24, 24, encoder.dim)
    assert (facts["encoder"], facts["uploads"]) == (encoder.fingerprint(), True)
    assert (facts["engine"], facts["recall"]) == ("exact", None)
    assert facts["limits"] == {"bytes": MAX_BYTES, "pixels": 50_000_000, "k": 200, "groups": 100}
    assert facts["duplicates"] == 3


def test_search_by_id_finds_what_the_index_finds(client, index):
    for name in index.ids[:3]:
        found = client.get("/api/search", params={"id": name, "k": 5}).json()
        (wanted,) = index.search_ids(name, 5)
        assert [(each["id"], each["similarity"]) for each in found["neighbours"]] == wanted
        assert found["query"]["id"] == name
        assert found["query"]["class"] == name.partition("/")[0]
        for each in [found["query"], *found["neighbours"]]:
            assert index.collection.ids[each["number"]] == each["id"]
            assert each["picture"]
        assert found["how"] == "exact"


def test_filters_keep_to_what_they_name(client):
    first = "blue/00.png"
    words = {"id": first, "k": 200, "where": ["class=red"]}
    kinds = [each["class"] for each in client.get("/api/search", params=words).json()["neighbours"]]
    assert kinds == ["red"] * 12
    words["where"] = ["class=red", "class=blue"]
    assert len(client.get("/api/search", params=words).json()["neighbours"]) == 23
    (only,) = client.get("/api/filters").json()[:1]
    assert only["column"] == "class"
    assert {each["value"]: each["images"] for each in only["values"]} == {"red": 12, "blue": 12}


def test_an_upload_of_an_image_finds_that_image_first(client, index, folder):
    for name in index.ids[:6]:
        found = upload(client, (folder / "photos" / name).read_bytes(), k=3).json()
        assert found["query"] is None
        assert found["neighbours"][0]["id"] == name
        assert found["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-3)  # float16
        (wanted,) = index.search(str(folder / "photos" / name), 3)
        assert [each["id"] for each in found["neighbours"]] == [each for each, _ in wanted]


def test_the_map_has_every_image_once(client, index):
    plane = client.get("/api/map").json()
    assert [each["id"] for each in plane["images"]] == list(index.ids)
    assert len(plane["x"]) == len(plane["y"]) == 24
    assert max(map(abs, plane["x"] + plane["y"])) == 1


def test_a_picture_comes_by_its_number(client, index):
    answer = client.get("/api/images/3")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    red, _, blue = shown.mean((0, 1))
    assert (red > blue) == (index.collection.ids[3].partition("/")[0] == "red")


def test_groups_of_duplicates_come_least_alike_first_a_page_at_a_time(client, index, folder):
    told = client.get("/api/duplicates").json()
    assert (told["groups"], told["images"], told["start"]) == (3, 7, 0)
    assert (told["folder"], told["threshold"]) == ("dups", 0.8)
    assert str(folder) not in json.dumps(told), "no path leaves the server"
    assert [group["place"] for group in told["shown"]] == [2, 1, 0]
    least = [min(image["score"] for image in group["images"]) for group in told["shown"]]
    assert least == sorted(least)
    for group in told["shown"]:
        assert [image["keep"] for image in group["images"]].count(True) == 1
        for image in group["images"]:
            assert index.collection.ids[image["number"]] == image["id"]
            assert image["bytes"] == (folder / "photos" / image["id"]).stat().st_size
            assert image["class"] == image["id"].partition("/")[0]
    pages = [client.get("/api/duplicates", params={"start": n, "count": 1}) for n in range(5)]
    assert [page.json()["shown"] for page in pages] == [*([each] for each in told["shown"]), [], []]


@pytest.mark.parametrize(
    "words", ["start=-1", "count=0", "count=101", "start=1e3", "start=" + 30 * "9"]
)
def test_pages_of_duplicates_that_cannot_be_are_refused(client, words):
    answer = client.get(f"/api/duplicates?{words}")
    assert answer.status_code == 422
    assert words.partition("=")[0] in answer.json()["error"]


def test_without_duplicates_the_api_says_how_to_name_them(index):
    client = TestClient(create_app(index), base_url=HERE)
    assert client.get("/api/collection").json()["duplicates"] is None
    answer = client.get("/api/duplicates")
    assert answer.status_code == 404
    assert "--duplicates FOLDER" in answer.json()["error"]


def test_duplicates_of_other_images_are_refused(listed):
    other = Index.build(np.eye(4, dtype=np.float32))
    with pytest.raises(UsageError, match="is about other images"):
        create_app(other, duplicates=listed)


def test_nothing_can_be_sent_to_where_the_duplicates_are(client, folder):
    before = (folder / "dups/duplicates.csv").read_bytes()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, "/api/duplicates", json={"keep": []}).status_code == 405
    assert (folder / "dups/duplicates.csv").read_bytes() == before


PAGES = ("/", "/duplicates", "/page.js", "/parts.js", "/map.js", "/duplicates.js")


@pytest.mark.parametrize("path", [*PAGES, "/page.css", "/report.css", "/icon.svg"])
def test_the_page_comes_in_a_few_files_that_name_no_other_host(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    others = set(re.findall(r"https?://[^\s\"'<]+", answer.text)) - {"http://www.w3.org/2000/svg"}
    assert not others
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_no_page_of_the_framework_is_there(client):
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
        assert client.get(path).status_code == 404
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
        pass


def test_a_collection_without_encoder_and_images_is_searched_by_id(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    app = create_app(Index.build(vectors))
    client = TestClient(app, base_url=HERE)
    facts = client.get("/api/collection").json()
    assert (facts["uploads"], facts["pictures"], facts["encoder"]) == (False, 0, None)
    assert len(client.get("/api/search", params={"id": "3"}).json()["neighbours"]) == 5
    assert "no encoder" in upload(client, b"anything").json()["error"]
    assert client.get("/api/images/0").status_code == 404


def test_removed_images_are_gone_from_everywhere(folder, encoder, tmp_path):
    index = Index.open(folder / "photos.vec").save(tmp_path / "copy.vec")
    row = index.collection.ids.index("red/05.png")
    index.remove("red/05.png")
    client = TestClient(create_app(index, encoder=encoder), base_url=HERE)
    assert client.get("/api/search", params={"id": "red/05.png"}).status_code == 404
    assert client.get(f"/api/images/{row}").status_code == 404
    near = client.get("/api/search", params={"id": "red/03.png", "k": 200}).json()["neighbours"]
    assert "red/05.png" not in [each["id"] for each in near]
    assert "red/05.png" not in [each["id"] for each in client.get("/api/map").json()["images"]]


def test_another_encoder_is_refused(index, encoder):
    other = Encoder(encoder.backbone, size=17, name=encoder.name, arguments=encoder.arguments)
    with pytest.raises(UsageError, match="cannot be compared"):
        create_app(index, encoder=other)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ({}, 422, "id: Field required"),
        ({"id": "no/such.png"}, 404, "no image of this id"),
        ({"id": "blue/00.png", "k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ({"id": "blue/00.png", "k": 201}, 422, "k: Input should be less than or equal to 200"),
        ({"id": "blue/00.png", "k": "many"}, 422, "k: Input should be a valid integer"),
        ({"id": "blue/00.png", "where": "red"}, 400, "where must be COLUMN=VALUE, got 'red'"),
        ({"id": "blue/00.png", "where": "id=x"}, 400, "cannot be filtered by a column 'id'"),
        ({"id": "blue/00.png", "where": "nothing=x"}, 400, "cannot be filtered"),
        ({"id": "blue/00.png", "where": "width=wide"}, 400, "holds int64"),
        ({"id": "blue/00.png", "where": "class=green"}, 400, "no image where"),
        ({"id": "blue/00.png", "where": ["class=red"] * 51}, 422, "where: "),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(client, words, status, says):
    answer = client.get("/api/search", params=words)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


ELSEWHERE = ("../secret.png", "..%2fsecret.png", "%2e%2e%2fsecret.png", "..%5csecret.png")


@pytest.mark.parametrize(
    "path",
    [
        *(f"{root}{where}" for root in ("/", "/api/images/", "/api/") for where in ELSEWHERE),
        *(
            "/api/images//etc/passwd",
            "/api/images/%2fetc%2fpasswd",
            "/api/images/file:///etc/passwd",
        ),
        *("/api/images/0/../../secret.png", "/api/images/0%00.png", "/api/images/red%2f01.png"),
        *("/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/page.js/../answers.py", "/answers.py"),
    ],
)
def test_no_path_leads_to_a_file(client, path):
    """Asked for as it is written: a client would tidy `..` away."""
    sent: list[Any] = []
    raw = path.encode()
    scope = {
        **{"type": "http", "method": "GET", "raw_path": raw, "query_string": b"", "root_path": ""},
        "path": httpx.URL(f"{HERE}/").copy_with(raw_path=raw).path if "%" in path else path,
        **{"headers": [(b"host", b"127.0.0.1")], "scheme": "http", "server": ("127.0.0.1", 80)},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))
    assert sent[0]["status"] in {404, 422}
    assert len(sent[1]["body"]) < 300


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "..%2fsecret.png", "file:///etc/passwd", "C:\\x", "\0"]
)
def test_no_id_leads_to_a_file(client, folder, name):
    for each in (name, str(folder / "secret.png"), str(folder / "photos" / "red/01.png")):
        assert client.get("/api/search", params={"id": each}).status_code == 404


@pytest.mark.parametrize(
    "number", ["-1", "24", "9999999999999999999999", "1.5", "0x1", "1e3", "٣٣"]
)
def test_a_number_that_is_no_row_has_no_picture(client, number):
    assert client.get(f"/api/images/{number}").status_code in {404, 422}


def test_an_upload_is_never_fetched_from_an_address_or_opened_by_its_name(client, folder):
    for text in (
        f"file://{folder}/secret.png",
        "http://127.0.0.1:1/x.png",
        str(folder / "secret.png"),
    ):
        for content, name in ((text.encode(), "x.png"), (b"", text)):
            assert upload(client, content, name=name).status_code == 422
        assert client.post("/api/search", data={"image": text}).status_code == 422
        assert client.post("/api/search", json={"image": text}).status_code == 422


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost:1@evil", ""])
def test_another_host_name_gets_nothing(client, host):
    for path in ("/", "/api/collection", "/api/images/0", "/api/openapi.json", "/nothing"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 421
        assert list(answer.json()) == ["error"]


def test_no_other_site_may_read_or_send(client):
    answer = client.get("/api/collection", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert client.options("/api/search", headers=asks).status_code == 403
    for each in (answer, client.get("/api/collection", headers={"origin": HERE})):
        assert not [name for name in each.headers if name.startswith("access-control")]


def test_a_hundred_odd_uploads_do_no_harm(client, odd_files):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes
    count = 0
    for name, content, shows in odd_files:
        answer = upload(client, content, name=name, k=1)
        assert answer.status_code in {200, 422}, name
        assert shows is None or (answer.status_code == 200) == shows, (name, answer.text)
        if answer.status_code == 422:
            assert re.fullmatch(
                r"no image that can be read: [^\n]+|image: [^\n]+", answer.json()["error"]
            )
        count += 1
    assert count >= 90
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300_000, "the bomb alone would take 900 MB"
    assert client.get("/api/collection").status_code == 200


def test_an_upload_above_the_limit_is_refused(index, encoder):
    client = TestClient(create_app(index, encoder=encoder, max_bytes=100_000), base_url=HERE)
    assert upload(client, b"x" * 100_000).status_code == 413  # the form takes some bytes, too
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
    pieces = itertools.chain([head], itertools.repeat(b"x" * 1000, 200))  # says no length
    answer = client.post("/api/search", content=pieces, headers=boundary)
    assert answer.status_code == 413
    assert answer.json() == {"error": "the upload is larger than 0.1 MB"}


@pytest.mark.parametrize("content", [b"", b"--x", b"--x\r\n\r\n\r\n--x--", b"\xff" * 500])
def test_a_form_that_is_none_is_refused(client, content):
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "image/jpeg", "\xff"):
        headers = {"content-type": kind.encode("latin-1")}
        answer = client.post("/api/search", content=content, headers=headers)
        assert answer.status_code in {400, 422}
        assert list(answer.json()) == ["error"]


class SlowEncoder:
    """An encoder that waits until it may go on."""

    def __init__(self, encoder: Encoder) -> None:
        self.size, self.fingerprint = encoder.size, encoder.fingerprint
        self.encode_now, self.free, self.began = encoder.encode, threading.Event(), 0

    def encode(self, images: Any) -> Any:
        self.began += 1
        assert self.free.wait(60)
        return self.encode_now(images)


def test_more_uploads_than_can_wait_are_told_to_come_again(index, encoder):
    slow: Any = SlowEncoder(encoder)
    app = create_app(index, encoder=slow, encodings=2, waiting=3)
    content = black()

    async def crowd() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as many:
            jobs = [
                asyncio.ensure_future(many.post("/api/search", files={"image": ("x", content)}))
                for _ in range(9)
            ]
            while slow.began < 2 or sum(job.done() for job in jobs) < 4:
                await asyncio.sleep(0.01)
            assert slow.began == 2
            assert (await many.get("/api/collection")).status_code == 200, "others are answered"
            slow.free.set()
            return list(await asyncio.gather(*jobs))

    answers = asyncio.run(crowd())
    assert sorted(each.status_code for each in answers) == [200] * 5 + [503] * 4
    for each in answers:
        if each.status_code == 503:
            assert int(each.headers["retry-after"]) > 0
            assert "again" in each.json()["error"]


def test_an_encoding_that_takes_too_long_is_given_up_but_keeps_its_place(index, encoder):
    slow: Any = SlowEncoder(encoder)
    app = create_app(index, encoder=slow, encodings=1, waiting=0, seconds=0.2)
    client = TestClient(app, base_url=HERE)
    content = black()
    for _ in range(3):
        assert upload(client, content).status_code == 503
    assert slow.began == 1, "the first goes on, and no other is begun"
    slow.free.set()


def test_an_error_of_the_server_tells_no_more_than_its_name(index, encoder):
    class Broken:
        size, fingerprint = encoder.size, encoder.fingerprint

        def encode(self, images: Any) -> Any:
            raise RuntimeError("/home/somebody/secret")

    app = create_app(index, encoder=Broken())
    client = TestClient(app, base_url=HERE, raise_server_exceptions=False)
    answer = upload(client, black())
    assert answer.status_code == 500
    assert answer.json() == {"error": "an error of the server itself: RuntimeError"}
