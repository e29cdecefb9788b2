"""Tools through the official Python SDK: the client's own, and those that the daemon runs."""

import json

import pytest
import rehearsal
from wire import assert_ended_well, read_wire

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = {"role": "user", "content": rehearsal.call("get_weather", city="Bonn")}


def plainly(client, **request):
    return client.chat.completions.create(**request).choices[0]


def by_stream(client, **request):
    with client.chat.completions.stream(**request) as stream:
        return stream.get_final_completion().choices[0]


@pytest.mark.parametrize("ask", [plainly, by_stream])
def test_a_client_tool_goes_both_ways(client, ask):
    """The loop every SDK example has: run what the model asks for, send the result, read the answer."""
    request = {"model": "nuncio", "tools": [WEATHER]}
    choice = ask(client, messages=[QUESTION], **request)
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Bonn"}

    output = {"role": "tool", "tool_call_id": call.id, "content": "rain and 7 degrees"}
    choice = ask(client, messages=[QUESTION, choice.message.to_dict(), output], **request)
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    assert "rain and 7 degrees" in choice.message.content


def test_a_client_tool_call_is_streamed_as_the_sdks_expect(client):
    wire = read_wire(client, model="nuncio", messages=[QUESTION], tools=[WEATHER])
    assert_ended_well(wire, "tool_calls")
    pieces = [call for delta in wire.deltas for call in delta.get("tool_calls") or []]
    assert {piece["index"] for piece in pieces} == {0}
    assert pieces[0]["id"] and pieces[0]["type"] == "function"
    assert pieces[0]["function"]["name"] == "get_weather"
    assert json.loads("".join(p["function"].get("arguments", "") for p in pieces)) == {"city": "Bonn"}


def test_a_client_tool_hides_the_servers_of_the_same_name(client, daemon):
    terminal = {"type": "function", "function": {"name": "terminal", "parameters": {"type": "object"}}}
    question = {"role": "user", "content": rehearsal.call("terminal", command="touch must-not-exist")}
    choice = plainly(client, model="nuncio", messages=[question], tools=[terminal])
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.name == "terminal"
    assert daemon.workspace_files("must-not-exist") == []


@pytest.mark.parametrize("off", [{"tools": []}, {"tools": [WEATHER], "tool_choice": "none"}], ids=["empty", "none"])
def test_tools_can_be_switched_off(client, daemon, off):
    question = {"role": "user", "content": rehearsal.run("touch must-not-exist")}
    choice = plainly(client, model="nuncio", messages=[question], **off)
    assert choice.message.tool_calls is None
    assert daemon.workspace_files("must-not-exist") == []


def test_a_server_tool_runs_and_is_told_plainly(client, daemon):
    question = {"role": "user", "content": rehearsal.run("echo made here | tee plain.txt")}
    choice = plainly(client, model="nuncio", messages=[question])
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    assert "made here" in choice.message.content
    assert [f.read_text() for f in daemon.workspace_files("plain.txt")] == ["made here\n"]


def test_a_server_tool_shows_as_activity_on_valid_chunks(client, daemon):
    question = {"role": "user", "content": rehearsal.run("echo made here | tee streamed.txt")}
    # The typed, strictly checked view must pass too, with `choices[0]` on every chunk.
    chunks = list(client.chat.completions.create(model="nuncio", messages=[question], stream=True))
    assert all(chunk.choices[0].delta.tool_calls is None for chunk in chunks)
    assert "made here" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert [f.read_text() for f in daemon.workspace_files("streamed.txt")] == ["made here\n"]

    activity = [chunk for chunk in chunks if chunk.model_extra.keys() & {"event", "item"}]
    for chunk in activity:
        assert chunk.choices[0].delta.to_dict() == {}
        assert chunk.choices[0].finish_reason is None
    status = [chunk.event for chunk in activity if "event" in chunk.model_extra]
    assert {line["type"] for line in status} == {"status"}
    # A line that is not done shimmers for ever if the client stops the run, so each one is; the last hides it.
    assert all(line["data"]["done"] for line in status)
    assert [line["data"].get("hidden", False) for line in status] == [False] * (len(status) - 1) + [True]
    assert "terminal" in status[0]["data"]["description"]

    call, output = [chunk.item for chunk in activity if "item" in chunk.model_extra]
    assert (call["type"], call["name"]) == ("function_call", "terminal")
    assert json.loads(call["arguments"]) == {"command": "echo made here | tee streamed.txt"}
    assert (output["type"], output["call_id"]) == ("function_call_output", call["call_id"])
    assert "made here" in output["output"][0]["text"]


def test_the_stream_helper_gets_over_activity_chunks(client):
    question = {"role": "user", "content": rehearsal.run("echo made here")}
    choice = by_stream(client, model="nuncio", messages=[question])
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    assert "made here" in choice.message.content
