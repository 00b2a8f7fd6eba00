"""The page and its API: what is asked by HTTP, answered from one collection, and nothing else.

Requests name images by id or row, and both are looked up in the collection's own list: no text of a
request is ever a path, and nothing is fetched from an address.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Any, BinaryIO

from fastapi import FastAPI, Path, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import lookalike
from lookalike.curation.table import Listed
from lookalike.data.decode import UnreadableImage, decode
from lookalike.errors import LookalikeError, UsageError
from lookalike.inference import Encoder
from lookalike.neighbors.index import Index
from lookalike.server.answers import Duplicates, Facts, Filter, Found, Map, Problem
from lookalike.server.catalogue import MOST_GROUPS, MOST_NEIGHBOURS, Catalogue, conditions
from lookalike.server.limits import MAX_BYTES, SECONDS, Desk, Guard, Names, refuse

ENCODINGS, LOOKS = 2, 4  # at once: uploads; and searches by id, thumbnails and the like
WAITING, LOOKS_WAITING = 8, 256

Amount = Annotated[int, Query(ge=1, le=MOST_NEIGHBOURS, description="images to find")]
Groups = Annotated[int, Query(ge=1, le=MOST_GROUPS, description="groups to show")]
Start = Annotated[int, Query(ge=0, lt=2**63, description="groups to pass over")]
Where = Annotated[
    list[str],
    Query(max_length=50, description="COLUMN=VALUE; of one column's values, any will do"),
]

_FILES = {  # by address: the package and file, and its kind
    "/": ("server", "page.html", "text/html; charset=utf-8"),
    "/duplicates": ("server", "duplicates.html", "text/html; charset=utf-8"),
    "/page.css": ("server", "page.css", "text/css; charset=utf-8"),
    "/page.js": ("server", "page.js", "text/javascript; charset=utf-8"),
    "/parts.js": ("server", "parts.js", "text/javascript; charset=utf-8"),
    "/duplicates.js": ("server", "duplicates.js", "text/javascript; charset=utf-8"),
    "/map.js": ("server", "map.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("server", "icon.svg", "image/svg+xml"),
    "/report.css": ("report", "page.css", "text/css; charset=utf-8"),
}
_JPEG: dict[str, Any] = {"content": {"image/jpeg": {"schema": {"type": "string"}}}}


def create_app(
    index: Index,
    *,
    encoder: Encoder | None = None,
    duplicates: Listed | None = None,
    names: Names | None = None,
    token: str | None = None,
    max_bytes: int = MAX_BYTES,
    seconds: float = SECONDS,
    encodings: int = ENCODINGS,
    waiting: int = WAITING,
) -> FastAPI:
    """Return the server of a collection, an ASGI application.

    Args:
        index: of the collection; what changes in its folder later is not seen.
        encoder: what encodes uploads; without one there are none.
        duplicates: of its images, to decide on.
        names: that requests may ask for; those of 127.0.0.1 if none are given.
        token: that whoever asks must know, as `Guard` has it; none: all are answered.
        max_bytes: of an upload.
        seconds: that a request may take.
        encodings: uploads decoded and encoded at a time.
        waiting: uploads that may wait for this.

    Raises:
        UsageError: the encoder is not the one of the collection, or the duplicates are of others.
    """
    if encoder is not None:
        index.collection.require_encoder(encoder.fingerprint(), what="the server's encoder")
    app = FastAPI(
        title="lookalike",
        summary="The images of a collection that look most alike.",
        version=lookalike.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={
            key: {"model": Problem} for key in (400, 401, 403, 404, 408, 413, 421, 422, 503)
        },
    )
    app.add_middleware(
        Guard,
        names=names or Names.of("127.0.0.1"),
        token=token,
        max_bytes=max_bytes,
        seconds=seconds,
    )
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(LookalikeError)(_impossible)
    app.exception_handler(Exception)(_failed)
    for address, file in _FILES.items():
        _add_file(app, address, *file)
    catalogue = Catalogue(index, uploads=encoder is not None, listed=duplicates)
    looks = Desk(LOOKS, waiting=LOOKS_WAITING)
    _add_collection(app, catalogue, looks)
    _add_duplicates(app, catalogue, looks)
    _add_search(app, catalogue, looks, encoder, Desk(encodings, waiting=waiting))
    return app


def _add_collection(app: FastAPI, catalogue: Catalogue, looks: Desk) -> None:
    @app.get("/api/collection")
    async def collection() -> Facts:
        """What is known of the collection, and what a request may ask for."""
        return catalogue.facts

    @app.get("/api/filters")
    async def filters() -> list[Filter]:
        """Columns to filter by, and what they hold."""
        return await looks.do(lambda: catalogue.filters)

    @app.get("/api/map")
    async def map() -> Map:
        """Some thousands of the images on a plane; distances between far groups mean little."""
        return await looks.do(lambda: catalogue.map)

    @app.get("/api/images/{number}", response_class=Response, responses={200: _JPEG})
    async def image(number: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
        """The picture of an image, its centred square, some 256 pixels wide."""
        if number not in catalogue.pictures:
            raise HTTPException(404, f"there is no picture of number {number}")
        try:
            jpeg = await looks.do(catalogue.pictures.jpeg, number)
        except UnreadableImage as problem:
            raise HTTPException(404, f"this picture cannot be read: {problem.reason}") from None
        return Response(jpeg, media_type="image/jpeg")


def _add_duplicates(app: FastAPI, catalogue: Catalogue, looks: Desk) -> None:
    @app.get("/api/duplicates")
    async def duplicates(start: Start = 0, count: Groups = 50) -> Duplicates:
        """Groups of duplicates, those first whose images agree least; nothing is moved here."""
        if catalogue.listed is None:
            raise HTTPException(404, "nobody named duplicates: serve with --duplicates FOLDER")
        return await looks.do(catalogue.duplicates, catalogue.listed, start, count)


def _add_search(
    app: FastAPI, catalogue: Catalogue, looks: Desk, encoder: Encoder | None, studio: Desk
) -> None:
    index = catalogue.index

    def wanted(where: list[str]) -> dict[str, list[str]] | None:
        try:
            chosen = conditions(where)
        except ValueError as problem:
            raise HTTPException(400, str(problem)) from None
        for column in chosen:
            if not catalogue.filterable(column):
                raise HTTPException(400, f"images cannot be filtered by a column {column!r}")
        return chosen or None

    @app.get("/api/search")
    async def search(
        id: Annotated[str, Query(description="of an image of the collection")],
        k: Amount = 20,
        where: Where = [],  # noqa: B006  FastAPI copies it
    ) -> Found:
        """The images most alike to one of the collection."""
        row, chosen = catalogue.rows.get(id), wanted(where)
        if row is None:
            raise HTTPException(404, "the collection has no image of this id")
        hits = await looks.do(index.search_ids, id, k, where=chosen)
        return catalogue.found(hits, query=row)

    @app.post("/api/search")
    async def search_upload(
        image: UploadFile,
        k: Amount = 20,
        where: Where = [],  # noqa: B006
    ) -> Found:
        """The images most alike to one that is sent; it is not kept."""
        chosen = wanted(where)
        if encoder is None:
            raise HTTPException(400, "the collection keeps no encoder: search by id")

        def look(file: BinaryIO, model: Encoder) -> Found:
            pixels = decode(file.read(), at_least=model.size)
            hits = index.search(model.encode(pixels), k, where=chosen)
            return catalogue.found(hits, query=None)

        try:
            return await studio.do(look, image.file, encoder)
        except UnreadableImage as problem:
            raise HTTPException(422, f"no image that can be read: {problem.reason}") from None


def _add_file(app: FastAPI, address: str, package: str, name: str, kind: str) -> None:
    content = (resources.files("lookalike") / package / name).read_bytes()

    @app.get(address, include_in_schema=False)
    async def file() -> Response:
        return Response(content, media_type=kind)


async def _refused(_: Request, problem: HTTPException) -> Response:
    headers = dict(problem.headers) if problem.headers else None
    return refuse(problem.status_code, _line(problem.detail), headers)


async def _invalid(_: Request, problem: RequestValidationError) -> Response:
    first = problem.errors()[0]
    return refuse(422, _line(f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"))


async def _impossible(_: Request, problem: LookalikeError) -> Response:
    return refuse(400 if isinstance(problem, UsageError) else 422, _line(problem))


async def _failed(_: Request, problem: Exception) -> Response:
    return refuse(500, f"an error of the server itself: {type(problem).__name__}")


def _line(text: object) -> str:
    return str(text).partition("\n")[0]
