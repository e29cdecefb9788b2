"""Conversations through the official Python SDK, every answer checked strictly against its types."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
import rehearsal
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

EVENT = TypeAdapter(ResponseStreamEvent)


def say(client, conversation, input, **options):
    return client.responses.create(model="nuncio", input=input, conversation=conversation, **options)


def text_of(item):
    return "".join(part.text for part in item.content) if item.type == "message" else item.type


def told(client, conversation_id):
    return [text_of(item) for item in client.conversations.items.list(conversation_id, order="asc", limit=3)]


def test_a_conversation_from_its_first_item_to_its_end(client):
    seed = [{"type": "message", "role": "user", "content": "hi"}, {"type": "message", "role": "assistant", "content": "hello"}]
    conversation = client.conversations.create(items=seed, metadata={"topic": "demo"})
    assert (conversation.object, conversation.metadata) == ("conversation", {"topic": "demo"})
    assert client.conversations.retrieve(conversation.id) == conversation
    assert client.conversations.update(conversation.id, metadata={"topic": "other"}).metadata == {"topic": "other"}

    script = "\n".join(["think: Hm", rehearsal.run("echo one"), rehearsal.run("echo two"), "then", "say: Done"])
    first = say(client, conversation.id, script)
    assert (first.conversation.id, first.previous_response_id) == (conversation.id, None)
    events = list(say(client, {"id": conversation.id}, "echo: messages", stream=True))
    for event in events:
        EVENT.validate_python(event.to_dict(), strict=True)
    assert events[-1].response.conversation.id == conversation.id
    roles = [message["role"] for message in json.loads(events[-1].response.output_text)]
    assert roles == ["user", "assistant", "user", "assistant", "tool", "tool", "assistant", "user"]

    # The pager reads it page by page, in the forms that the response had.
    listed = list(client.conversations.items.list(conversation.id, order="asc", limit=2))
    assert [item.to_dict() for item in listed[3:7]] == [item.to_dict() for item in first.output]
    assert [item.type for item in listed[3:7]] == ["reasoning", "mcp_call", "mcp_call", "message"]
    newest_first = list(client.conversations.items.list(conversation.id, limit=100))
    assert [item.id for item in newest_first] == [item.id for item in reversed(listed)]

    assert client.conversations.delete(conversation.id).deleted is True
    with pytest.raises(openai.NotFoundError) as error:
        client.conversations.retrieve(conversation.id)
    assert error.value.code == "conversation_not_found"
    assert client.responses.retrieve(first.id) == first


def test_items_are_added_retrieved_and_deleted(client):
    conversation = client.conversations.create()
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:x"}]},
        {"type": "function_call", "call_id": "c", "name": "ask", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "yes"},
    ]
    added = client.conversations.items.create(conversation.id, items=items)
    assert [item.type for item in added.data] == ["message", "function_call", "function_call_output"]
    assert (added.first_id, added.last_id, added.has_more) == (added.data[0].id, added.data[2].id, False)
    for item in added.data:
        assert client.conversations.items.retrieve(item.id, conversation_id=conversation.id) == item
    assert client.conversations.items.delete(added.data[1].id, conversation_id=conversation.id) == conversation
    left = [item.id for item in client.conversations.items.list(conversation.id, order="asc")]
    assert left == [added.data[0].id, added.data[2].id]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(added.data[1].id, conversation_id=conversation.id)


def test_a_name_is_a_conversation_from_its_first_use(client):
    name = f"project {uuid.uuid4()}"
    first = say(client, name, "say: One")
    with client.responses.stream(model="nuncio", input="say: Two", conversation=name) as stream:
        second = stream.get_final_response()
    assert first.conversation == second.conversation
    assert told(client, first.conversation.id) == ["say: One", "One", "say: Two", "Two"]
    assert client.conversations.retrieve(first.conversation.id).model_extra == {"name": name}
    with pytest.raises(openai.BadRequestError) as error:
        say(client, name, "say: No", previous_response_id=first.id)
    assert error.value.param == "conversation"


def test_turns_at_once_wait_for_each_other(client):
    name = f"crowd {uuid.uuid4()}"
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda number: say(client, name, f"wait: 10ms\nsay: {number}"), range(8)))
    words = told(client, responses[0].conversation.id)
    assert sorted(words[1::2]) == [str(number) for number in range(8)]
    assert words[0::2] == [f"wait: 10ms\nsay: {number}" for number in words[1::2]]


def test_a_waiting_response_in_the_background_is_queued_and_can_be_cancelled(client):
    name = f"busy {uuid.uuid4()}"
    holder = say(client, name, "stall", background=True)
    waiting = say(client, name, "say: Hello", background=True)
    assert client.responses.retrieve(waiting.id).status == "queued"
    assert client.responses.cancel(waiting.id).status == "cancelled"
    assert client.responses.cancel(holder.id).status == "cancelled"
    assert told(client, say(client, name, "say: Free").conversation.id) == ["say: Free", "Free"]
