"""The Responses API over a WebSocket: the official SDK's `connect`, the strict `openresponses-py`, and the schema."""

import json

import openai
import pytest
import rehearsal
from conftest import REHEARSAL, strict_client
from open_responses import event_faults, faults
from openai.types.responses import ResponsesServerEvent
from openresponses import OpenResponses, WebSocketConfig, WebSocketError
from pydantic import TypeAdapter
from scenarios import SCENARIOS, each, request_of
from websockets.sync.client import connect

EVENT = TypeAdapter(ResponsesServerEvent)
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
# What a message over a WebSocket must not have.
HTTP_ONLY = ("stream", "stream_options", "background")


def message_of(scenario, base_url: str) -> dict:
    request = request_of(scenario, base_url)
    return {key: value for key, value in request.items() if key not in HTTP_ONLY}


def turn(socket, message: dict) -> list[dict]:
    """The events that answer one `response.create`."""
    socket.send(json.dumps({"type": "response.create", **message}))
    events = [json.loads(socket.recv(timeout=30))]
    while events[-1]["type"] not in ENDS:
        events.append(json.loads(socket.recv(timeout=30)))
    return events


@pytest.fixture(scope="module")
def socket(every_profile):
    """One connection for every scenario: each turn begins with nothing left of the one before."""
    with connect(every_profile.base_url.replace("http", "ws", 1) + "/responses") as socket:
        yield socket


@each()
def test_every_event_is_as_over_http(socket, every_profile, heard, scenario):
    events = turn(socket, message_of(scenario, every_profile.base_url))
    assert events[-1]["type"] == f"response.{scenario.ends}", events[-1]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert {event["type"] for event in events} == {event["type"] for event in heard(scenario).events}
    in_lists = {name for name in scenario.deviates if name.startswith("input_items: ")}
    assert set().union(*map(event_faults, events)) == scenario.deviates - in_lists
    for event in events:
        EVENT.validate_python(event, strict=True)


@pytest.fixture(scope="module")
def strict(every_profile):
    # A client that gives a turn up reads no further, so that a close has to wait in vain for the other side's.
    impatient = WebSocketConfig(close_timeout=0.1)
    options = {"api_key": "none", "response_compatibility": "strict", "websocket_config": impatient}
    with OpenResponses(base_url=every_profile.base_url, **options) as client:
        yield client


ASKABLE = [scenario for scenario in SCENARIOS if not faults(scenario.request, "CreateResponseBody")]


@each(ASKABLE)
def test_openresponses_py(strict, every_profile, heard, scenario):
    deviates = {name for name in scenario.deviates if not name.startswith(("event: ", "input_items: "))}
    with strict.websocket() as socket:
        turn = socket.create(message_of(scenario, every_profile.base_url))
        if deviates:
            with pytest.raises(WebSocketError, match="^invalid WebSocket streaming event"):
                list(turn)
            return
        events = list(turn)
        assert turn.error is None
        assert {event.type for event in events} == {event["type"] for event in heard(scenario).events}
        assert turn.last_sequence_number == len(events) - 1
        assert turn.final_response.status == scenario.ends


def test_openresponses_py_goes_on_and_is_told_errors(strict):
    with strict.websocket() as socket:
        first = socket.create({"model": "nuncio", "input": "say: Hello", "store": False})
        list(first)
        lost = socket.create({"model": "nuncio", "input": "say: More", "previous_response_id": "resp_none"})
        assert list(lost) == []
        assert (lost.error.status, lost.error.error.code) == (404, "previous_response_not_found")
        second = socket.create({"model": "nuncio", "input": "say: More", "previous_response_id": first.response_id})
        list(second)
        assert second.final_response.status == "completed"


def sdk_turn(connection, **request):
    """The last event of one turn of the official SDK, each checked against its types."""
    connection.response.create(model="nuncio", **request)
    for event in connection:
        EVENT.validate_python(event.to_dict(), strict=True)
        if event.type in ENDS:
            return event


def test_the_sdk_takes_turns(client):
    with client.responses.connect() as connection:
        first = sdk_turn(connection, input="\n".join(["think: Hm", rehearsal.run("echo one")])).response
        assert [item.type for item in first.output] == ["reasoning", "mcp_call", "message"]
        echo = {"input": rehearsal.echo("messages"), "previous_response_id": first.id}
        second = sdk_turn(connection, **echo).response
        roles = ["user", "assistant", "tool", "assistant", "user"]
        assert [message["role"] for message in json.loads(second.output_text)] == roles
    assert client.responses.retrieve(second.id).to_dict() == second.to_dict()


def test_a_client_tool_goes_both_ways_and_nothing_is_kept(client):
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
    with client.responses.connect() as connection:
        asked = sdk_turn(connection, input=rehearsal.call("get_weather"), tools=[tool], store=False).response
        (call,) = asked.output
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        followed = sdk_turn(connection, input=[output], previous_response_id=asked.id, tools=[tool], store=False)
        assert "rain" in followed.response.output_text
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(asked.id)
    # What is not kept is known to its own connection alone.
    with client.responses.connect() as connection:
        lost = sdk_turn(connection, input="say: More", previous_response_id=asked.id)
        assert (lost.type, lost.status, lost.error.code) == ("error", 404, "previous_response_not_found")


def test_what_failed_to_go_on_is_forgotten(client):
    with client.responses.connect() as connection:
        first = sdk_turn(connection, input="say: Hello", store=False).response
        assert sdk_turn(connection, input=[], previous_response_id=first.id).status == 400
        lost = sdk_turn(connection, input="say: More", previous_response_id=first.id)
        assert (lost.status, lost.error.code) == (404, "previous_response_not_found")


def test_a_warm_up_runs_nothing(client, daemon):
    with client.responses.connect() as connection:
        script = rehearsal.run("touch must-not-exist-by-websocket")
        warm = sdk_turn(connection, input=script, generate=False, store=False).response
        assert (warm.status, warm.output) == ("completed", [])
        sdk_turn(connection, input="say: So", previous_response_id=warm.id)
    assert daemon.workspace_files("must-not-exist-by-websocket") == []


def test_turns_that_are_sent_at_once_are_taken_in_order(client):
    with client.responses.connect() as connection:
        for word in ("one", "two", "three"):
            connection.response.create(model="nuncio", input=f"say: {word}")
        said = []
        for event in connection:
            if event.type == "response.completed":
                said.append(event.response.output_text)
            if len(said) == 3:
                break
    assert said == ["one", "two", "three"]


@pytest.mark.parametrize(
    "message",
    ["{", "[]", "{}", '{"type": "response.steer"}', '{"type": "response.create", "model": 7, "input": "say: So"}'],
)
def test_what_makes_no_sense_gets_the_error_envelope(socket, message):
    socket.send(message)
    error = json.loads(socket.recv(timeout=30))
    assert faults(error, "WebSocketErrorEvent") == set()
    assert (error["type"], 400 <= error["status"] < 500) == ("error", True)
    EVENT.validate_python(error, strict=True)
    # And the connection lives.
    assert turn(socket, {"model": "nuncio", "input": "say: So"})[-1]["type"] == "response.completed"


def test_the_sdk_opens_another_connection_when_the_time_of_one_is_over(start):
    with start({**REHEARSAL, "server": {"websocket_time": "1s"}}) as daemon:
        codes = []

        def go_on(reconnecting):
            codes.append(reconnecting.close_code)
            connection.response.create(model="nuncio", input="say: More", previous_response_id=first.id)

        with strict_client(daemon).responses.connect(on_reconnecting=go_on) as connection:
            first = sdk_turn(connection, input="say: Hello").response
            over, *events = until_done(connection)
        assert (over.type, over.error.code) == ("error", "websocket_connection_limit_reached")
        assert (events[-1].response.output_text, codes) == ("More", [1001])


def until_done(connection):
    events = []
    for event in connection:
        events.append(event)
        if event.type == "response.completed":
            return events
