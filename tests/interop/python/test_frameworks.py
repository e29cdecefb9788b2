"""Libraries that many agents are built on get over a stream in which the server ran a tool."""

import litellm
import pytest
import rehearsal
from langchain_openai import ChatOpenAI

QUESTION = rehearsal.run("echo made here")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(litellm, "telemetry", False)


def test_langchain(daemon):
    model = ChatOpenAI(base_url=daemon.base_url, api_key="none", model="nuncio", max_retries=0)
    whole = None
    for chunk in model.stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    assert "made here" in whole.content
    assert whole.tool_calls == []
    assert whole.response_metadata["finish_reason"] == "stop"


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
