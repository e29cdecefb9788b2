"""OpenAI's Agents SDK takes what the server ran for done, and runs its own tools."""

import asyncio

import pytest
import rehearsal
from agents import Agent, ModelSettings, OpenAIResponsesModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI
from pydantic import BaseModel


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


BONN = rehearsal.call("get_weather", city="Bonn")


@pytest.fixture
def model(daemon):
    client = AsyncOpenAI(base_url=daemon.base_url, api_key="none", max_retries=0, _strict_response_validation=True)
    return OpenAIResponsesModel(model="nuncio", openai_client=client)


def plainly(agent, question, **more):
    return Runner.run_sync(agent, question, run_config=RunConfig(tracing_disabled=True), **more)


def by_stream(agent, question, **more):
    async def read():
        result = Runner.run_streamed(agent, question, run_config=RunConfig(tracing_disabled=True), **more)
        async for _ in result.stream_events():
            pass
        return result

    return asyncio.run(read())


ways = pytest.mark.parametrize("ask", [plainly, by_stream])


def items(result) -> list[str]:
    """The types of what happened, in order; an output that the SDK has made is a dict."""
    raw = [item.raw_item for item in result.new_items]
    return [item["type"] if isinstance(item, dict) else item.type for item in raw]


@ways
def test_an_agent_with_the_servers_tools(model, ask):
    result = ask(Agent(name="a", model=model), "\n".join(["think: Hm", "say: Look", rehearsal.run("echo made here")]))
    assert items(result) == ["reasoning", "message", "mcp_call", "message"]
    assert "made here" in result.final_output


@ways
def test_an_agent_with_a_tool_of_its_own(model, ask):
    result = ask(Agent(name="a", model=model, tools=[get_weather], instructions="be brief"), BONN)
    assert items(result) == ["function_call", "function_call_output", "message"]
    assert "rain in Bonn" in result.final_output


@ways
def test_an_agent_with_both(model, ask):
    agent = Agent(name="a", model=model, tools=[get_weather])
    result = ask(agent, "\n".join(["think: Hm", rehearsal.run("echo made here"), BONN]))
    assert items(result) == ["reasoning", "mcp_call", "function_call", "function_call_output", "message"]
    assert "made here" in result.final_output and "rain in Bonn" in result.final_output


@pytest.mark.parametrize("remembers", ["the server", "the SDK"])
def test_a_second_turn(model, remembers):
    agent = Agent(name="a", model=model, tools=[get_weather])
    first = plainly(agent, "\n".join([rehearsal.run("echo made here"), BONN]), auto_previous_response_id=True)
    if remembers == "the server":
        second = plainly(agent, rehearsal.echo("messages"), previous_response_id=first.last_response_id)
    else:
        question = {"role": "user", "content": rehearsal.echo("messages")}
        second = plainly(agent, [*first.to_input_list(), question])
    assert "made here" in second.final_output and "rain in Bonn" in second.final_output


def test_tools_can_be_switched_off(model, daemon):
    agent = Agent(name="a", model=model, model_settings=ModelSettings(tool_choice="none"))
    result = plainly(agent, rehearsal.run("touch must-not-exist-either"))
    assert items(result) == ["message"]
    assert daemon.workspace_files("must-not-exist-either") == []


class City(BaseModel):
    name: str


@ways
def test_an_agent_that_answers_by_a_schema(model, ask):
    result = ask(Agent(name="a", model=model, output_type=City), 'say: {"name": "Bonn"}')
    assert result.final_output == City(name="Bonn")
