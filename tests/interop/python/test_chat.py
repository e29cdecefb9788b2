"""The official Python SDK, its answers checked strictly, against the daemon with its built-in upstream."""

import json

import pytest
import rehearsal
from pydantic import BaseModel
from wire import assert_ended_well, read_wire

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


def request(text: str = "hello", **more) -> dict:
    return {"model": "nuncio", "messages": [{"role": "user", "content": text}], **more}


def test_models_are_listed_and_retrieved(client):
    listed = client.models.list().data
    assert [m.id for m in listed] == ["nuncio"]
    assert client.models.retrieve("nuncio") == listed[0]
    assert listed[0].object == "model"


def test_a_plain_answer(client):
    completion = client.chat.completions.create(**request())
    assert completion.object == "chat.completion"
    assert completion.model == "nuncio"
    assert len(completion.choices) == 1
    choice = completion.choices[0]
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content
    assert choice.message.tool_calls is None
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_a_stream_says_the_same_as_a_plain_answer(client):
    plain = client.chat.completions.create(**request())
    chunks = list(client.chat.completions.create(**request(), stream=True))
    # The naive loop of every tutorial: `choices[0]` on each chunk.
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == plain.choices[0].message.content
    assert {(c.id, c.object, c.model) for c in chunks} == {(chunks[0].id, "chat.completion.chunk", "nuncio")}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}], ids=["absent", "empty", "false"])
def test_usage_is_not_streamed_unless_asked_for(client, options):
    wire = read_wire(client, **request(), **({} if options is None else {"stream_options": options}))
    assert_ended_well(wire)
    assert all(chunk["choices"] for chunk in wire.chunks)
    assert not any(chunk.get("usage") for chunk in wire.chunks)


def test_usage_is_the_last_chunk_when_asked_for(client):
    wire = read_wire(client, **request(), stream_options={"include_usage": True})
    assert_ended_well(wire)
    *rest, last = wire.chunks
    assert all(chunk["choices"] for chunk in rest)
    assert not any(chunk.get("usage") for chunk in rest)
    assert last["choices"] == []
    assert last["usage"] == client.chat.completions.create(**request()).usage.to_dict()


def test_the_stream_helper_gathers_the_answer(client):
    plain = client.chat.completions.create(**request())
    with client.chat.completions.stream(**request(), stream_options={"include_usage": True}) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == plain.choices[0].message.content
    assert final.choices[0].message.content == plain.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"
    assert final.usage == plain.usage


class City(BaseModel):
    name: str
    people: int


def test_structured_output_is_parsed(client):
    question = request(rehearsal.say('{"name": "Bonn", "people": 331885}'))
    completion = client.chat.completions.parse(**question, response_format=City)
    assert completion.choices[0].message.parsed == City(name="Bonn", people=331885)


def test_an_answer_cut_by_the_token_limit_says_so(client):
    completion = client.chat.completions.create(**request(rehearsal.count(100, "0ms")), max_tokens=5)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 5


def test_the_sdk_knows_the_request_id(client):
    completion = client.chat.completions.create(**request(), extra_headers={"x-request-id": "my-own-id"})
    assert completion._request_id == "my-own-id"
    assert client.models.list()._request_id


ECHO = {"type": "text", "text": rehearsal.echo("messages")}


def echoed(client, messages: list) -> list:
    """The messages as the model got them, without the system text."""
    completion = client.chat.completions.create(model="nuncio", messages=messages)
    return [m for m in json.loads(completion.choices[0].message.content) if m["role"] not in ("system", "developer")]


def test_an_image_part_reaches_the_model(client):
    image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    message = {"role": "user", "content": [ECHO, image]}
    assert echoed(client, [message]) == [message]


def test_every_role_and_part_is_accepted(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "never_heard_of", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "You are terse."},
        {"role": "developer", "content": [{"type": "text", "text": "Answer in English."}]},
        {"role": "user", "name": "ann", "content": "What is the weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Sunny."}]},
        {"role": "user", "content": [ECHO]},
    ]
    question, asked, told, answered, _ = echoed(client, messages)
    assert question["content"] == "What is the weather?"
    assert asked["tool_calls"] == [call]
    assert (told["role"], told["tool_call_id"]) == ("tool", "call_1")
    assert "sunny" in json.dumps(told["content"])
    assert "Sunny." in json.dumps(answered["content"])


def test_sampling_and_unknown_fields_reach_the_model(client):
    fields = {
        "temperature": 0.5,
        "top_p": 0.75,
        "max_completion_tokens": 1000,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 0.25,
        "frequency_penalty": 0.25,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "verbosity": "low",
        "user": "ann",
        "metadata": {"trace": "1"},
        "parallel_tool_calls": True,
        "service_tier": "auto",
    }
    unknown = {"a_field_of_tomorrow": {"deep": [1]}}
    completion = client.chat.completions.create(**request(rehearsal.echo("params")), **fields, extra_body=unknown)
    sent = {**fields, **unknown}
    got = json.loads(completion.choices[0].message.content)
    assert {key: got.get(key) for key in sent} == sent
