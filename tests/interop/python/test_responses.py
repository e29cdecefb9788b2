"""The Responses API through the official Python SDK, every answer and event checked strictly against its types."""

import json

import httpx2
import openai
import pytest
import rehearsal
from conftest import strict_client
from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter
from scenarios import SCENARIOS, each

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
EVENT = TypeAdapter(ResponseStreamEvent)


class City(BaseModel):
    name: str


# What the SDK's `Response` does not know: Open Responses asks for the first three, the last is ours.
NOT_IN_THE_SDK = {"presence_penalty", "frequency_penalty", "store"}
OUR_DETAIL = "incomplete_details.detail"
# The SDK knows them in its objects, but not in its events, for which Open Responses asks for them too.
BYTES = {"logprobs.bytes", "logprobs.top_logprobs.bytes"}


@each()
def test_every_object_and_event_is_of_the_sdks_types(heard, scenario):
    said = heard(scenario)
    for body in said.objects:
        response = Response.model_validate_json(body, strict=True)
        assert extras(response) == NOT_IN_THE_SDK | ({OUR_DETAIL} if scenario.ends == "incomplete" else set())
    for event in said.events:
        unknown = extras(EVENT.validate_python(event, strict=True))
        assert {name.removeprefix("response.") for name in unknown} <= NOT_IN_THE_SDK | BYTES | {OUR_DETAIL}
    assert extras(ResponseItemList.model_validate_json(said.input_items, strict=True)) == set()


def extras(value, path: str = "") -> set[str]:
    """The keys that the SDK's types do not name."""
    if isinstance(value, list):
        return set().union(*(extras(part, path) for part in value))
    if not isinstance(value, BaseModel):
        return set()
    known = {name: getattr(value, name) for name in type(value).model_fields}
    inner = (extras(part, f"{path}{name}.") for name, part in known.items())
    return {path + name for name in value.model_extra}.union(*inner)


def test_the_client_is_strict(daemon, heard):
    """What the tests below rest on: the client refuses an object and an event that lack a key."""
    said = heard(SCENARIOS[0])

    def answering(body: str, kind: str):
        answer = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body, headers={"content-type": kind}))
        return strict_client(daemon, http_client=httpx2.Client(transport=answer))

    for key in ("id", "created_at", "model", "object", "output", "parallel_tool_calls", "tool_choice", "tools"):
        body = {name: value for name, value in json.loads(said.plain).items() if name != key}
        with pytest.raises(openai.APIResponseValidationError):
            plainly(answering(json.dumps(body), "application/json"), input="hi")
    delta = next(event for event in said.events if event["type"] == "response.output_text.delta")
    del delta["logprobs"]
    with pytest.raises(openai.APIResponseValidationError):
        by_stream(answering(f"data: {json.dumps(delta)}\n\n", "text/event-stream"), input="hi")


def script(*lines: str) -> str:
    return "\n".join(lines)


def plainly(client, **request):
    return client.responses.create(model="nuncio", **request)


def by_stream(client, **request):
    events = list(client.responses.create(model="nuncio", stream=True, **request))
    for event in events:
        EVENT.validate_python(event.to_dict(), strict=True)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    return events[-1].response


def by_helper(client, **request):
    with client.responses.stream(model="nuncio", **request) as stream:
        told = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        response = stream.get_final_response()
    assert told == response.output_text
    return response


WAYS = [plainly, by_stream, by_helper]


@pytest.mark.parametrize("ask", WAYS)
def test_text_reasoning_and_server_tools(client, ask):
    lines = ["think: Let me see", "say: Look", rehearsal.run("echo one"), rehearsal.run("echo two"), "then", "say: Fine"]
    response = ask(client, input=script(*lines), instructions="be brief", metadata={"k": "v"})
    assert response.status == "completed"
    assert response.completed_at >= response.created_at
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning", "message", "mcp_call", "mcp_call", "message"]
    reasoning, _, one, two, _ = response.output
    assert [part.text for part in reasoning.content] == ["Let me see"]
    assert [(call.server_label, call.name, call.status) for call in (one, two)] == [("nuncio", "terminal", "completed")] * 2
    assert one.output.startswith("one\n") and two.output.startswith("two\n")
    assert response.output_text == "LookFine"
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    assert (response.instructions, response.metadata) == ("be brief", {"k": "v"})


@pytest.mark.parametrize("ask", WAYS)
def test_a_client_tool_goes_both_ways(client, ask):
    question = {"role": "user", "content": rehearsal.call("get_weather", city="Bonn")}
    asked = ask(client, input=[question], tools=[WEATHER])
    (call,) = asked.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Bonn"})
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain and 7 degrees"}
    followed = ask(client, input=[output], previous_response_id=asked.id, tools=[WEATHER])
    assert "rain and 7 degrees" in followed.output_text
    # The same by history alone, as the SDK's examples do it.
    resent = ask(client, input=[question, call.to_dict(), output], store=False, tools=[WEATHER])
    assert "rain and 7 degrees" in resent.output_text


def test_every_kind_of_output_can_be_sent_back(client):
    lines = ["think: Hm", "say: Look", rehearsal.run("echo one"), rehearsal.call("no_such_tool"), "then", "say: Fine"]
    first = plainly(client, input=script(*lines))
    assert [item.status for item in first.output if item.type == "mcp_call"] == ["completed", "failed"]
    history = [item.to_dict() for item in first.output]
    told = plainly(client, input=[{"role": "user", "content": "hi"}, *history, {"role": "user", "content": "echo: messages"}])
    messages = json.loads(told.output_text)
    assert [message["role"] for message in messages].count("tool") == 2


@each([scenario for scenario in SCENARIOS if scenario.ends == "completed" and scenario.follows is None])
def test_the_stream_helper_gathers_every_answer(every_profile, heard, scenario):
    client = strict_client(every_profile)
    request = {"model": "nuncio", **scenario.request}
    # The SDK has no names for these two.
    penalties = {key: request.pop(key) for key in ("presence_penalty", "frequency_penalty") if key in request}
    with client.responses.stream(**request, extra_body=penalties) as stream:
        seen = {event.type for event in stream}
        final = stream.get_final_response()
    assert seen == {event["type"] for event in heard(scenario).events}
    assert client.responses.retrieve(final.id).to_dict() == unparsed(final.to_dict())


def unparsed(value):
    """The helper's object without what it adds of its own."""
    if isinstance(value, dict):
        return {key: unparsed(part) for key, part in value.items() if key not in ("parsed", "parsed_arguments")}
    return [unparsed(part) for part in value] if isinstance(value, list) else value


def test_the_stream_helper_parses_arguments(client):
    tool = openai.pydantic_function_tool(City, name="look_up")
    with client.responses.stream(model="nuncio", input=rehearsal.call("look_up", name="Bonn"), tools=[tool]) as stream:
        told = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
        (call,) = stream.get_final_response().output
    assert json.loads(told[-1]) == {"name": "Bonn"}
    assert call.parsed_arguments == City(name="Bonn")


def test_every_kind_of_output_can_be_referred_to(client):
    first = plainly(client, input=script("think: Hm", rehearsal.run("echo made here"), rehearsal.call("no_such_tool")))
    question = {"role": "user", "content": "hi"}
    history = [{"type": "item_reference", "id": item.id} for item in first.output]

    def told(items):
        echo = {"role": "user", "content": rehearsal.echo("messages")}
        return json.loads(plainly(client, input=[question, *items, echo]).output_text)

    # A server's call is one item with its output, and nothing in a list of them says which were made at once.
    roles = ["user", *["assistant", "tool"] * 2, "assistant", "user"]
    assert [message["role"] for message in told(history)] == roles
    assert told(history) == told([item.to_dict() for item in first.output])
    assert "made here" in json.dumps(told(history))
    with pytest.raises(openai.APIStatusError) as error:
        plainly(client, input=[{"type": "item_reference", "id": "msg_none"}])
    assert error.value.status_code in (400, 404)


def test_a_refusal_and_a_cut_answer(client):
    (message,) = by_stream(client, input="refuse: I will not").output
    assert [part.refusal for part in message.content] == ["I will not"]
    for ask in (plainly, by_stream):
        cut = ask(client, input="count: 100", max_output_tokens=16)
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_failure_in_mid_stream_is_a_failed_response(client):
    failed = by_stream(client, input=script("say: So", "cut"))
    assert (failed.status, failed.error.code) == ("failed", "server_error")
    assert client.responses.retrieve(failed.id) == failed


def test_a_failure_before_the_stream_is_raised(client):
    for options in ({}, {"stream": True}):
        with pytest.raises(openai.RateLimitError):
            client.responses.create(model="nuncio", input="fail: 429", **options)


def test_a_stored_response_is_retrieved_listed_and_deleted(client):
    items = [{"role": "developer", "content": "d"}, {"role": "user", "content": "say: Hello"}]
    response = plainly(client, input=items)
    assert client.responses.retrieve(response.id) == response
    listed = list(client.responses.input_items.list(response.id, order="asc", limit=1))
    assert [(item.type, item.role, item.content[0].text) for item in listed] == [
        ("message", "developer", "d"),
        ("message", "user", "say: Hello"),
    ]
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError) as error:
        plainly(client, input="say: More", previous_response_id=response.id)
    assert error.value.code == "previous_response_not_found"


def test_the_sdk_parses_an_answer_of_a_schema(client):
    response = client.responses.parse(model="nuncio", input='say: {"name": "Bonn"}', text_format=City)
    assert response.output_parsed == City(name="Bonn")
    with client.responses.stream(model="nuncio", input='say: {"name": "Bonn"}', text_format=City) as stream:
        (told,) = [event.parsed for event in stream if event.type == "response.output_text.done"]
        assert told == stream.get_final_response().output_parsed == City(name="Bonn")
    told = plainly(client, input="echo: params", text={"format": {"type": "json_object"}, "verbosity": "low"})
    assert json.loads(told.output_text) == {"response_format": {"type": "json_object"}, "verbosity": "low"}
