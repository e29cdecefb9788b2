"""Counting and compacting what goes into a response, through the official SDK and `openresponses-py`."""

import json

import openai
import pytest
import rehearsal
from open_responses import faults
from openresponses import OpenResponses

LONG = [{"type": "message", "role": role, "content": "word " * 200} for role in ("user", "assistant") * 3]


def test_input_tokens_are_counted(client):
    def count(**request) -> int:
        return client.responses.input_tokens.count(model="nuncio", **request).input_tokens

    short, long = count(input="say: Hello"), count(input="say: Hello " + "word " * 100)
    assert 0 < short < long
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
    assert count(input="say: Hello", instructions="be brief") > short
    assert count(input="say: Hello", tools=[tool]) > count(input="say: Hello", tools=[])
    first = client.responses.create(model="nuncio", input="say: " + "word " * 100)
    assert count(input="say: Hello", previous_response_id=first.id) > long
    with pytest.raises(openai.NotFoundError):
        count(input="say: Hello", previous_response_id="resp_none")


def test_a_conversation_is_compacted_and_goes_on(client):
    compacted = client.responses.compact(model="nuncio", input=LONG)
    assert compacted.usage.total_tokens > 0
    assert faults(json.loads(compacted.to_json(exclude_unset=True)), "CompactResource") == set()
    assert compacted.output[-1].type == "compaction"
    window = [item.to_dict() for item in compacted.output]
    question = {"role": "user", "content": rehearsal.echo("messages")}
    after = client.responses.create(model="nuncio", input=[*window, question])
    before = client.responses.create(model="nuncio", input=[*LONG, question])
    assert after.usage.input_tokens < before.usage.input_tokens
    # What it stands for is listed as it was sent, and can be compacted again.
    listed = list(client.responses.input_items.list(after.id, order="asc"))
    assert [item.type for item in listed] == [item["type"] for item in window] + ["message"]
    assert client.responses.compact(model="nuncio", input=[*window, question]).output[-1].type == "compaction"


def test_a_stored_response_is_compacted(client):
    first = client.responses.create(model="nuncio", input=[*LONG, {"role": "user", "content": "say: Hello"}])
    compacted = client.responses.compact(model="nuncio", previous_response_id=first.id)
    assert compacted.output[-1].type == "compaction"


def test_openresponses_py_compacts(daemon):
    with OpenResponses(base_url=daemon.base_url, api_key="none", response_compatibility="strict") as strict:
        compacted = strict.responses.compact({"model": "nuncio", "input": LONG})
        window = [item.model_dump(mode="json", exclude_unset=True) for item in compacted.output]
        question = {"type": "message", "role": "user", "content": "say: Hello"}
        assert strict.responses.create({"model": "nuncio", "input": [*window, question]}).status == "completed"


def test_a_long_conversation_is_compacted_by_the_way(client):
    request = {
        "model": "nuncio",
        "input": [*LONG, {"role": "user", "content": "say: Hello"}],
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    }
    response = client.responses.create(**request)
    assert [item.type for item in response.output] == ["compaction", "message"]
    with client.responses.stream(**request) as stream:
        assert [item.type for item in stream.get_final_response().output] == ["compaction", "message"]
    request["context_management"] = [{"type": "compaction", "compact_threshold": 100_000}]
    assert [item.type for item in client.responses.create(**request).output] == ["message"]
