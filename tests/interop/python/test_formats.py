"""Structured output through the parse helpers of the official SDK, which read every text as one of the form."""

import openai
import pytest
import rehearsal
from pydantic import BaseModel


class City(BaseModel):
    name: str


BONN = '{"name": "Bonn"}'

SCRIPTS = {
    "plain": [rehearsal.say(BONN)],
    "in a fence": ["say: ```json", f"| {BONN}", "| ```"],
    "after tools": ["think: Hm", rehearsal.say("I look."), rehearsal.run("echo one"), "then", rehearsal.say(BONN)],
    "mended": [rehearsal.say("It is Bonn."), f"mend: {BONN}"],
    "mended after tools": [rehearsal.run("echo one"), f"mend: {BONN}"],
}


def asked(lines: list[str]) -> dict:
    return {"model": "nuncio", "messages": [{"role": "user", "content": "\n".join(lines)}]}


@pytest.mark.parametrize("lines", SCRIPTS.values(), ids=SCRIPTS)
def test_chat_answers_are_parsed(client, lines):
    plain = client.chat.completions.parse(**asked(lines), response_format=City)
    with client.chat.completions.stream(**asked(lines), response_format=City) as stream:
        streamed = stream.get_final_completion()
    for completion in (plain, streamed):
        (choice,) = completion.choices
        assert (choice.finish_reason, choice.message.parsed) == ("stop", City(name="Bonn"))


@pytest.mark.parametrize("lines", SCRIPTS.values(), ids=SCRIPTS)
def test_responses_are_parsed(client, lines):
    options = {"model": "nuncio", "input": "\n".join(lines), "text_format": City}
    plain = client.responses.parse(**options)
    with client.responses.stream(**options) as stream:
        streamed = stream.get_final_response()
    for response in (plain, streamed):
        assert (response.status, response.output_parsed) == ("completed", City(name="Bonn"))


def test_a_turn_that_ends_with_a_call_has_nothing_to_parse(client):
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    tool = {"type": "function", "function": {"name": "ask", "strict": True, "parameters": schema}}
    lines = [rehearsal.say("I ask."), rehearsal.call("ask")]
    message = client.chat.completions.parse(**asked(lines), response_format=City, tools=[tool]).choices[0].message
    assert (message.parsed, message.content, message.tool_calls[0].function.name) == (None, None, "ask")


def test_an_answer_that_stays_wrong_is_an_error(client):
    lines = [rehearsal.say("It is Bonn.")]
    with pytest.raises(openai.InternalServerError) as error:
        client.chat.completions.parse(**asked(lines), response_format=City)
    assert error.value.code == "invalid_output_format"
    with pytest.raises(openai.InternalServerError) as error:
        client.responses.parse(model="nuncio", input=lines[0], text_format=City)
    assert error.value.code == "invalid_output_format"
