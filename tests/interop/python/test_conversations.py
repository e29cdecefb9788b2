"""Conversations through the official SDK and the Agents SDK's session over them."""

import asyncio
import json

import openai
import pytest
import rehearsal
from agents import Agent, OpenAIConversationsSession, OpenAIResponsesModel, RunConfig, Runner, function_tool
from open_responses import faults
from openai import AsyncOpenAI



def ask(client, text: str, **more):
    return client.responses.create(model="nuncio", input=text, **more)


def history(client, **more) -> list[dict]:
    """The conversation as the model gets it."""
    return json.loads(ask(client, rehearsal.echo("messages"), **more).output_text)


def test_a_conversation_is_made_changed_and_deleted(client):
    made = client.conversations.create(metadata={"topic": "one"})
    assert made.id.startswith("conv_")
    assert client.conversations.retrieve(made.id) == made
    changed = client.conversations.update(made.id, metadata={"topic": "two"})
    assert (changed.id, changed.created_at, changed.metadata) == (made.id, made.created_at, {"topic": "two"})
    gone = client.conversations.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(made.id)


def test_items_are_added_listed_page_by_page_and_deleted(client):
    told = [{"type": "message", "role": "user", "content": str(number)} for number in range(5)]
    conversation = client.conversations.create(items=told[:2]).id
    added = client.conversations.items.create(conversation, items=told[2:])
    assert [item.content[0].text for item in added.data] == ["2", "3", "4"]
    items = list(client.conversations.items.list(conversation, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["0", "1", "2", "3", "4"]
    assert len({item.id for item in items}) == 5
    assert list(client.conversations.items.list(conversation, limit=3)) == items[::-1]
    for item in items:
        assert faults(item.to_dict(), "ItemField") == set()
    assert client.conversations.items.retrieve(items[1].id, conversation_id=conversation) == items[1]
    assert client.conversations.items.delete(items[1].id, conversation_id=conversation).id == conversation
    assert list(client.conversations.items.list(conversation, order="asc")) == [items[0], *items[2:]]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(items[1].id, conversation_id=conversation)


@pytest.mark.parametrize("by", [lambda id: id, lambda id: {"id": id}], ids=["string", "object"])
def test_responses_go_on_in_a_conversation(client, by):
    conversation = client.conversations.create(items=[{"role": "user", "content": "before"}]).id
    first = ask(client, "\n".join(["think: Hm", rehearsal.run("echo one")]), conversation=by(conversation))
    assert first.conversation.id == conversation
    roles = ["user", "user", "assistant", "tool", "assistant", "user"]
    assert [message["role"] for message in history(client, conversation=by(conversation))] == roles
    kinds = [item.type for item in client.conversations.items.list(conversation, order="asc")]
    assert kinds == ["message", "message", "reasoning", "mcp_call", "message", "message", "message"]


def test_a_conversation_has_a_name(client):
    first = ask(client, "say: One", conversation="my-project")
    second = ask(client, "say: Two", conversation="my-project")
    assert first.conversation.id.startswith("conv_")
    assert first.conversation.id == second.conversation.id
    assert [message["content"] for message in history(client, conversation="my-project")][1::2] == ["One", "Two"]
    assert len(history(client, conversation="another-project")) == 1


def test_the_stream_helper_goes_on_in_a_conversation(client):
    conversation = client.conversations.create().id
    for text in ("One", "Two"):
        with client.responses.stream(model="nuncio", input=f"say: {text}", conversation=conversation) as stream:
            assert stream.get_final_response().conversation.id == conversation
    assert [message["content"] for message in history(client, conversation=conversation)][1::2] == ["One", "Two"]


def test_what_cannot_be_is_refused(client):
    first = ask(client, "say: Hello")
    conversation = client.conversations.create().id
    with pytest.raises(openai.BadRequestError):
        ask(client, "say: More", conversation=conversation, previous_response_id=first.id)
    with pytest.raises(openai.NotFoundError):
        ask(client, "say: More", conversation="conv_none")


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def test_the_agents_sdk_keeps_its_session_in_a_conversation(daemon):
    async def talk():
        client = AsyncOpenAI(base_url=daemon.base_url, api_key="none", max_retries=0, _strict_response_validation=True)
        model = OpenAIResponsesModel(model="nuncio", openai_client=client)
        agent = Agent(name="a", model=model, tools=[get_weather])
        session = OpenAIConversationsSession(openai_client=client)
        script = ["think: Hm", rehearsal.run("echo made here"), rehearsal.call("get_weather", city="Bonn")]
        for question in ("\n".join(script), rehearsal.echo("messages")):
            told = await Runner.run(agent, question, session=session, run_config=RunConfig(tracing_disabled=True))
        return told.final_output, await session.get_items()

    told, kept = asyncio.run(talk())
    assert "made here" in told and "rain in Bonn" in told
    kinds = ["message", "reasoning", "mcp_call", "function_call", "function_call_output", "message"]
    assert [item.get("type", "message") for item in kept] == [*kinds, "message", "message"]
