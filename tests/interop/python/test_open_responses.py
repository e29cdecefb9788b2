"""Validators of the Open Responses specification: the JSON Schema of its document, and two packages made from it.

Each finds fault with exactly what a scenario says it deviates in: a new deviation fails, and so does one that is gone.
"""

import json

import pytest
from open_responses import event_faults, faults
from openresponses import (
    APIResponseValidationError,
    APIStatusError,
    BadRequestError,
    NotFoundError,
    OpenResponses,
    SSEProtocolError,
)
from openresponses_types import ResponseResource
from pydantic import ValidationError
from scenarios import SCENARIOS, Scenario, each, request_of


def of_objects(scenario: Scenario) -> set[str]:
    """The deviations that a response object has, and not only its events or the list of its input."""
    return {name for name in scenario.deviates if not name.startswith(("event: ", "item: ", "input_items: "))}


@each()
def test_json_schema(heard, scenario):
    said = heard(scenario)
    found = set().union(*map(event_faults, said.events))
    for body in said.objects:
        found |= faults(json.loads(body), "ResponseResource")
    for item in json.loads(said.input_items)["data"]:
        found |= faults(item, "ItemField", "input_items")
    assert found == scenario.deviates


def test_json_schema_names_what_is_wrong(heard):
    text = json.loads(heard(SCENARIOS[0]).plain)
    (message,) = text["output"]
    wrong = {**text, "store": None, "output": [{**message, "role": "nobody"}, {"type": "x"}]}
    assert faults(wrong, "ResponseResource") == {"store", "output.role", "output: x"}
    del text["metadata"], message["content"][0]["annotations"]
    assert faults(text, "ResponseResource") == {"metadata is missing", "output.content.annotations is missing"}
    delta = {"type": "response.refusal.delta", "sequence_number": 0, "item_id": "i", "output_index": 0, "delta": "d"}
    assert event_faults(delta) == {"content_index is missing"}


@each()
def test_openresponses_types(heard, scenario):
    expected = {name if name.startswith("output: ") else name.split(".")[0] for name in of_objects(scenario)}
    for body in heard(scenario).objects:
        assert refused_parts(body) == expected


def refused_parts(body: str) -> set[str]:
    """The fields that openresponses-types refuses; of `output`, the types of the items."""
    try:
        ResponseResource.model_validate_json(body)
    except ValidationError as error:
        places = [fault["loc"] for fault in error.errors()]
        output = json.loads(body)["output"]
        return {f"output: {output[at[1]]['type']}" if at[0] == "output" else str(at[0]) for at in places}
    return set()


# What the strict client lets its user ask for.
ASKABLE = [scenario for scenario in SCENARIOS if not faults(scenario.request, "CreateResponseBody")]


@pytest.fixture
def strict(every_profile):
    with OpenResponses(base_url=every_profile.base_url, api_key="none", response_compatibility="strict") as client:
        yield client


@each(ASKABLE)
def test_openresponses_py(strict, every_profile, heard, scenario):
    request = request_of(scenario, every_profile.base_url)
    if scenario.ends == "failed":
        with pytest.raises(APIStatusError):
            strict.responses.create(request)
    elif of_objects(scenario):
        with pytest.raises(APIResponseValidationError):
            strict.responses.create(request)
    else:
        response = strict.responses.create(request)
        assert response.status == scenario.ends
        kinds = [item["type"] for item in json.loads(heard(scenario).plain)["output"]]
        assert [item.root.type for item in response.output] == kinds


@each(ASKABLE)
def test_openresponses_py_reads_the_stream(strict, every_profile, heard, scenario):
    stream = strict.responses.create({**request_of(scenario, every_profile.base_url), "stream": True})
    if of_objects(scenario):
        with pytest.raises(SSEProtocolError, match="^invalid streaming event"):
            list(stream)
        return
    events = list(stream)
    assert {event.type for event in events} == {event["type"] for event in heard(scenario).events}
    # It has seen to the order of items, parts and numbers itself.
    assert stream.last_sequence_number == len(events) - 1
    assert stream.final_response.status == scenario.ends


def test_openresponses_py_is_told_errors(strict):
    with pytest.raises(NotFoundError) as error:
        strict.responses.create({"model": "nuncio", "input": "say: Hi", "previous_response_id": "resp_none"})
    assert error.value.error["code"] == "previous_response_not_found"
    with pytest.raises(BadRequestError):
        list(strict.responses.create({"model": "nuncio", "input": [], "stream": True}))
