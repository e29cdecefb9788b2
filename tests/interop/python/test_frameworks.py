"""Libraries that many agents are built on get over a stream in which the server ran a tool."""

import litellm
import pytest
import rehearsal
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

QUESTION = rehearsal.run("echo made here")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(litellm, "telemetry", False)


def langchain(daemon, **more) -> ChatOpenAI:
    return ChatOpenAI(base_url=daemon.base_url, api_key="none", model="nuncio", max_retries=0, **more)


def plainly(model, question):
    return model.invoke(question)


def by_stream(model, question):
    whole = None
    for chunk in model.stream(question):
        whole = chunk if whole is None else whole + chunk
    return whole


def test_langchain(daemon):
    whole = by_stream(langchain(daemon), QUESTION)
    assert "made here" in whole.content
    assert whole.tool_calls == []
    assert whole.response_metadata["finish_reason"] == "stop"


ways = pytest.mark.parametrize("ask", [plainly, by_stream])


@ways
def test_langchain_on_responses(daemon, ask):
    told = ask(langchain(daemon, use_responses_api=True), "\n".join(["think: Hm", "say: Look", QUESTION]))
    kinds = ["reasoning", "text", "server_tool_call", "server_tool_result", "text"]
    assert [block["type"] for block in told.content_blocks] == kinds
    _, _, call, result, _ = told.content_blocks
    assert (call["args"], call["extras"]["tool_name"]) == ({"command": "echo made here"}, "terminal")
    assert (result["tool_call_id"], result["status"]) == (call["id"], "success")
    assert result["output"].startswith("made here\n")
    assert told.tool_calls == []
    assert told.usage_metadata["total_tokens"] > 0


@ways
@pytest.mark.parametrize("remembers", ["the server", "the client"])
def test_langchain_runs_its_own_tools_on_responses(daemon, ask, remembers):
    def get_weather(city: str) -> str:
        """The weather of a city."""

    model = langchain(daemon, use_responses_api=True, use_previous_response_id=remembers == "the server")
    model = model.bind_tools([get_weather])
    messages = [HumanMessage("\n".join([QUESTION, rehearsal.call("get_weather", city="Bonn")]))]
    messages.append(ask(model, messages))
    (call,) = messages[-1].tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Bonn"})
    messages.append(ToolMessage("rain in Bonn", tool_call_id=call["id"]))
    told = ask(model, messages)
    assert "made here" in told.text and "rain in Bonn" in told.text


def test_litellm(daemon):
    stream = litellm.completion(
        model="openai/nuncio",
        api_base=daemon.base_url,
        api_key="none",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
        num_retries=0,
    )
    whole = litellm.stream_chunk_builder(list(stream))
    assert "made here" in whole.choices[0].message.content
    assert whole.choices[0].message.tool_calls is None
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens > 0
