"""Requests that bring out every kind of answer of the Responses API. What was heard is read by many validators."""

import json
from dataclasses import dataclass, field

import httpx
import pytest
import rehearsal

# Profiles beside the built-in one's `standard` activity: what they show of the server's tools is in the specification.
CONFIG = {
    "upstreams": {"rehearsal": {"kind": "rehearsal"}},
    "profiles": {
        "nuncio": {"default": True},
        "hidden": {"tool_activity": "hidden"},
        "functions": {"tool_activity": "function_call"},
        "bare": {"tools": []},
    },
}

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
CLOCK = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# What Open Responses 2026-04-24 does not know and OpenAI's SDKs do, in the names that `open_responses.faults` gives.
MCP_CALL = {
    "output: mcp_call",
    "item: mcp_call",
    "event: response.mcp_call.in_progress",
    "event: response.mcp_call_arguments.delta",
    "event: response.mcp_call_arguments.done",
}
DONE = {"event: response.mcp_call.completed"}
FAILED = {"event: response.mcp_call.failed"}
MCP_CALL_SENT = {"input_items: mcp_call"}
REASONING_TEXT = {"event: response.reasoning_text.delta", "event: response.reasoning_text.done"}
SCHEMA_ECHO = {"text.format.schema"}
EFFORT = {"reasoning.effort"}


def script(*lines: str) -> str:
    return "\n".join(lines)


def says(role: str, text: str) -> dict:
    return {"type": "message", "role": role, "content": text}


@dataclass(frozen=True, eq=False)
class Scenario:
    name: str
    request: dict
    shows: str
    """A kind of event that is there, so that no validator passes for want of something to read."""
    deviates: set = field(default_factory=set)
    """Exactly what a validator of Open Responses finds fault with."""
    follows: dict | None = None
    """A request that is asked before; this one goes on from its response."""
    ends: str = "completed"


SERVER_TOOLS = script("say: Look", rehearsal.run("echo one"), rehearsal.run("echo two"), "then", "say: Fine")
WEATHER_CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Bonn"}'}
WEATHER_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
EVERY_SETTING = {
    "instructions": "be brief",
    "metadata": {"k": "v"},
    "temperature": 0.5,
    "top_p": 0.9,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "parallel_tool_calls": False,
    "max_output_tokens": 1000,
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "truncation": "disabled",
    "store": True,
    "background": False,
    "service_tier": "default",
    "top_logprobs": 0,
    "safety_identifier": "someone",
    "prompt_cache_key": "somewhere",
    "include": ["reasoning.encrypted_content"],
}
EVERY_ITEM = [
    says("system", "s"),
    says("developer", "d"),
    {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}],
    },
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A pixel"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No more"}]},
    says("user", "And the weather?"),
    WEATHER_CALL,
    {**WEATHER_OUTPUT, "output": [{"type": "input_text", "text": "rain"}]},
    says("assistant", "Rain"),
    says("user", "say: Hello"),
]
A_SERVERS_CALL = {
    "type": "mcp_call",
    "id": "mcp_1",
    "server_label": "nuncio",
    "name": "terminal",
    "arguments": '{"command": "true"}',
    "output": "fine",
}


def schema(**more) -> dict:
    return {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, **more}}


TEXT = "response.output_text.delta"
CALL = "response.function_call_arguments.delta"
SERVER_CALL = "response.mcp_call_arguments.delta"
REFUSAL = "response.refusal.delta"
BONN = rehearsal.call("get_weather", city="Bonn")
SUMMED_UP = {"context_management": [{"type": "compaction", "compact_threshold": 200}]}
LOGPROBS = "message.output_text.logprobs"

SCENARIOS = [
    Scenario("text", {"input": "say: Hello there"}, TEXT),
    Scenario("every setting", {"input": "say: Hello", **EVERY_SETTING}, TEXT),
    Scenario("every item", {"input": EVERY_ITEM}, TEXT),
    Scenario("going on", {"input": "say: More"}, TEXT, follows={"input": "say: Hello"}),
    Scenario("reasoning", {"input": script("think: Hm", "say: So")}, "response.reasoning_text.delta", REASONING_TEXT),
    Scenario(
        "reasoning in summary",
        {"input": script("think: Hm", "say: So"), "reasoning": {"summary": "auto"}},
        "response.reasoning_summary_text.delta",
    ),
    Scenario("an effort of OpenAI's", {"input": "say: So", "reasoning": {"effort": "minimal"}}, TEXT, EFFORT),
    Scenario("cut to fit", {"input": "say: So", "truncation": "auto"}, TEXT),
    Scenario(
        "a summary of what was said",
        {"input": [says("user", "word " * 400), says("assistant", "Well"), says("user", "say: So")], **SUMMED_UP},
        "response.output_item.done",
    ),
    Scenario("a conversation", {"input": "say: More", "conversation": "scenarios"}, TEXT),
    Scenario("probabilities", {"input": "say: So", "top_logprobs": 2, "include": [LOGPROBS]}, TEXT),
    Scenario("few calls", {"input": BONN, "tools": [WEATHER], "max_tool_calls": 3}, CALL),
    Scenario("two server tools", {"input": SERVER_TOOLS}, SERVER_CALL, MCP_CALL | DONE),
    Scenario("two server tools, hidden", {"model": "hidden", "input": SERVER_TOOLS}, TEXT),
    Scenario("two server tools as functions", {"model": "functions", "input": SERVER_TOOLS}, CALL),
    Scenario("a failed tool", {"input": rehearsal.call("no_such_tool", a=1)}, SERVER_CALL, MCP_CALL | FAILED),
    Scenario("a server's call sent back", {"input": [A_SERVERS_CALL, says("user", "say: So")]}, TEXT, MCP_CALL_SENT),
    Scenario("a client tool", {"input": BONN, "tools": [WEATHER, CLOCK]}, CALL),
    Scenario(
        "two client tools at once",
        {"input": script("shape: fragments", BONN, rehearsal.call("get_time")), "tools": [WEATHER, CLOCK]},
        CALL,
    ),
    Scenario(
        "a client tool's output",
        {"input": [says("user", BONN), WEATHER_CALL, WEATHER_OUTPUT], "tools": [WEATHER]},
        TEXT,
    ),
    Scenario(
        "a client tool and the server's",
        {"input": script(rehearsal.run("echo one"), BONN), "tools": [WEATHER]},
        CALL,
        MCP_CALL | DONE,
    ),
    Scenario("no tools", {"input": BONN, "tools": [WEATHER], "tool_choice": "none"}, TEXT),
    Scenario("some tool", {"model": "bare", "input": "anything", "tools": [WEATHER], "tool_choice": "required"}, CALL),
    Scenario(
        "one tool",
        {"input": "anything", "tools": [WEATHER, CLOCK], "tool_choice": {"type": "function", "name": "get_time"}},
        CALL,
    ),
    Scenario(
        "allowed tools",
        {
            "input": rehearsal.call("get_time"),
            "tools": [WEATHER, CLOCK],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "get_time"}],
            },
        },
        CALL,
    ),
    Scenario("a refusal", {"input": "refuse: I will not"}, REFUSAL),
    Scenario("words, then a refusal", {"input": script("say: Well", "refuse: I will not")}, REFUSAL),
    Scenario("length", {"input": "count: 100", "max_output_tokens": 16}, TEXT, ends="incomplete"),
    Scenario("filtered", {"input": script("say: So", "finish: content_filter")}, TEXT, ends="incomplete"),
    Scenario("a broken stream", {"input": script("say: So", "cut")}, TEXT, ends="failed"),
    Scenario(
        "a failure after a tool",
        {"input": script(rehearsal.run("true"), "then", "say: So", "cut")},
        SERVER_CALL,
        MCP_CALL | DONE,
        ends="failed",
    ),
    Scenario("a schema", {"input": 'say: {"name": "Bonn"}', "text": schema()}, TEXT, SCHEMA_ECHO),
    Scenario(
        "a strict schema",
        {"input": 'say: {"name": "Bonn"}', "text": schema(strict=True, description="A city")},
        TEXT,
        SCHEMA_ECHO,
    ),
]


def each(scenarios: list[Scenario] = SCENARIOS):
    """Runs a test for each scenario."""
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda scenario: scenario.name)


@dataclass(frozen=True)
class Heard:
    """What the daemon said to one scenario."""

    plain: str | None
    """The body of the plain answer; none if that was an HTTP error, which only a failure may be."""
    events: list[dict]
    stored: str
    """What the streamed response is kept as."""
    input_items: str

    @property
    def objects(self) -> list[str]:
        return [body for body in (self.plain, self.stored) if body is not None]


def request_of(scenario: Scenario, base_url: str) -> dict:
    """The request, with the response it goes on from."""
    request = {"model": "nuncio", **scenario.request}
    if scenario.follows is not None:
        before = httpx.post(f"{base_url}/responses", json={"model": "nuncio", **scenario.follows}).raise_for_status()
        request["previous_response_id"] = before.json()["id"]
    return request


def hear(scenario: Scenario, base_url: str) -> Heard:
    request = request_of(scenario, base_url)
    with httpx.Client(base_url=base_url, timeout=30) as http:
        plain = http.post("responses", json=request)
        assert plain.is_success == (scenario.ends != "failed"), plain.text
        events = frames(http.post("responses", json={**request, "stream": True}).raise_for_status().text)
        stored = http.get(f"responses/{events[-1]['response']['id']}").raise_for_status()
        items = http.get(f"responses/{stored.json()['id']}/input_items", params={"limit": 100}).raise_for_status()
    assert scenario.shows in {event["type"] for event in events}
    assert stored.json()["status"] == scenario.ends, stored.text
    assert stored.json() == events[-1]["response"]
    return Heard(plain.text if plain.is_success else None, events, stored.text, items.text)


def frames(text: str) -> list[dict]:
    """The events of a stream that ends with `[DONE]`; each frame names its event and holds one line of data."""
    *frames, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", ""), text[-200:]
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events
