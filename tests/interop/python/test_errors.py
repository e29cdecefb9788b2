"""Each failure reaches the official Python SDK as its own typed exception, with `param` and `code` filled in."""

import openai
import pytest
import rehearsal
from conftest import REHEARSAL, strict_client

MESSAGES = [{"role": "user", "content": "hello"}]
ALL_FIELDS = {"message", "type", "param", "code"}


@pytest.fixture(scope="module")
def locked(start):
    with start(REHEARSAL, env={"API_SERVER_KEY": "the-right-key"}) as daemon:
        yield daemon


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_a_wrong_key_is_an_authentication_error(locked, stream):
    with pytest.raises(openai.AuthenticationError) as caught:
        strict_client(locked, api_key="a-wrong-key").chat.completions.create(
            model="nuncio", messages=MESSAGES, stream=stream
        )
    assert set(caught.value.body) == ALL_FIELDS
    assert (caught.value.status_code, caught.value.code) == (401, "invalid_api_key")
    assert "a-wrong-key" not in str(caught.value)


def test_a_wrong_key_lists_no_models(locked):
    with pytest.raises(openai.AuthenticationError):
        strict_client(locked, api_key="a-wrong-key").models.list()


def test_the_right_key_opens(locked):
    client = strict_client(locked, api_key="the-right-key")
    assert client.models.list().data
    assert client.chat.completions.create(model="nuncio", messages=MESSAGES).choices


def test_a_model_that_is_no_profile_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-nothing", messages=MESSAGES)
    assert set(caught.value.body) == ALL_FIELDS
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "gpt-nothing" in caught.value.message and "nuncio" in caught.value.message
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-nothing")
    assert caught.value.code == "model_not_found"


def test_a_path_that_does_not_exist_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.get("/no/such/path", cast_to=object)
    assert set(caught.value.body) == ALL_FIELDS


BAD = {
    "n": {"n": 2},
    "temperature": {"temperature": "hot"},
    "messages": {"messages": []},
    "tools": {"tools": "all"},
    "tool_choice": {"tool_choice": "sometimes"},
    "stream_options": {"stream_options": 7},
    "max_tokens": {"max_tokens": -1},
    "logprobs": {"logprobs": "yes"},
    "top_logprobs": {"logprobs": True, "top_logprobs": 21},
}


@pytest.mark.parametrize("param", BAD)
def test_a_bad_field_is_named(client, param):
    body = {"model": "nuncio", "messages": MESSAGES, **BAD[param]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    assert set(caught.value.body) == ALL_FIELDS
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param.startswith(param)
    assert caught.value.message


def test_more_runs_than_allowed_is_a_rate_limit_error(start):
    with start({**REHEARSAL, "server": {"max_runs": 1}}) as daemon:
        client = strict_client(daemon)
        slow = client.chat.completions.create(
            model="nuncio", messages=[{"role": "user", "content": rehearsal.count(500, "50ms")}], stream=True
        )
        next(iter(slow))  # the first run has its permit now
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="nuncio", messages=MESSAGES)
        slow.close()
        assert set(caught.value.body) == ALL_FIELDS
        assert int(caught.value.response.headers["retry-after"]) > 0

        # The permit comes back with the run's end, and the SDK's own retry finds it.
        patient = strict_client(daemon, max_retries=5)
        assert patient.chat.completions.create(model="nuncio", messages=MESSAGES).choices
