"""What the API promises in its schema it keeps, also to requests that are made up to break it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from lookalike.server.app import create_app
from lookalike.server.limits import Names

few = settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
ASK_NOTHING = ["GET /api/collection", "GET /api/filters", "GET /api/map"]
ASK = ["GET /api/duplicates", "GET /api/search", "POST /api/search", "GET /api/images/{number}"]
CASES = [
    *((label, GenerationMode.POSITIVE) for label in ASK_NOTHING + ASK),
    *((label, GenerationMode.NEGATIVE) for label in ASK),
]


@pytest.fixture(scope="module")
def schema(index, encoder, listed):
    """The API's description of itself, with the app to call."""
    names = Names(frozenset({"testserver"}))
    app = create_app(index, encoder=encoder, duplicates=listed, names=names)
    return schemathesis.openapi.from_asgi("/api/openapi.json", app)


def test_the_schema_lists_all_there_is(schema):
    found = [result.ok().label for result in schema.get_all_operations()]
    assert sorted(found) == sorted(ASK_NOTHING + ASK)


@pytest.mark.parametrize(("label", "mode"), CASES)
def test_requests_made_up_from_the_schema_are_answered_as_it_says(schema, label, mode):
    method, _, path = label.partition(" ")

    @few
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        answer = case.call()
        assert answer.status_code < 500
        # No schema can say which texts are ids, columns or images: what is none is refused.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])

    ask()


@given(words=st.dictionaries(st.sampled_from(["id", "k", "where"]), st.text(max_size=30)))
@few
def test_no_words_break_a_search(client, words):
    assert client.get("/api/search", params=words).status_code in {200, 400, 404, 422}


@given(head=st.binary(max_size=40), cut=st.integers(0, 400))
@few
def test_no_bytes_break_an_upload(client, folder, head, cut):
    whole = (folder / "photos/red/01.png").read_bytes()
    for content in (head, head + whole[:cut], whole[:cut] + head, whole[:cut] + head + whole[cut:]):
        answer = client.post("/api/search", files={"image": ("x", content)})
        assert answer.status_code in {200, 422}
