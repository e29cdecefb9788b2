"""PyPI `llmock` is the upstream and breaks on purpose. Each fault ends in the documented way, and the
upstream is asked exactly as often as documented."""

import openai
import pytest
from conftest import strict_client
from daemon import wait_for
from llmock.scenarios import Fail, StreamFault
from transcript import assert_paired
from wire import assert_broke_off, assert_ended_well, read_wire

MAX_RETRIES = 2
TEXT = "alpha beta gamma delta"
# llmock's chunks: 0 is the role, then a word each, then the finish reason.
ROLE_ONLY = 1
TWO_WORDS = 3


@pytest.fixture(scope="module")
def gateway(start, llmock_server):
    upstream = {
        "kind": "openai_chat",
        "model": "gpt-4o",
        "base_url": llmock_server.base_url(),
        "api_key": "llmock-key",
        "max_retries": MAX_RETRIES,
        "retry_base_delay": "20ms",
        "first_byte_timeout": "5s",
        "idle_timeout": "1s",
    }
    upstreams = {
        "llmock": upstream,
        "hasty": {**upstream, "first_byte_timeout": "500ms"},
        "dead": {**upstream, "base_url": "http://127.0.0.1:9/v1"},
    }
    profiles = {
        "nuncio": {"upstream": "llmock", "default": True},
        "hasty": {"upstream": "hasty"},
        "unreachable": {"upstream": "dead"},
        "with-spare": {"upstream": "dead", "fallbacks": [{"upstream": "llmock"}]},
    }
    config = {"server": {"keepalive": "300ms"}, "upstreams": upstreams, "profiles": profiles}
    with start(config) as daemon:
        yield strict_client(daemon)


@pytest.fixture
def upstream(llmock, llmock_server):
    """llmock without its own wish to call tools; afterwards every history it was sent is checked."""
    llmock.tool_mode("off")
    yield llmock
    for record in calls(llmock, llmock_server):
        assert_paired(record.body["messages"])


@pytest.fixture
def count(llmock, llmock_server):
    """`count()`: model calls that llmock got, the abandoned ones included."""
    return lambda: len(calls(llmock, llmock_server))


def calls(llmock, llmock_server) -> list:
    wait_for(lambda: llmock_server.state.journal.in_flight == 0, 10, "llmock is idle")
    return [r for r in llmock.requests if r.path == "/v1/chat/completions"]


def request(text: str = "hello", model: str = "nuncio") -> dict:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def ask(client, **kwargs) -> str:
    return client.chat.completions.create(**request(**kwargs)).choices[0].message.content


# -- before the first content: tried again ----------------------------------------------------------------------

RECOVERABLE = {
    "429": lambda mock: mock.rate_limit(retry_after=1),
    "503": lambda mock: mock.fail(503, retry_after=0),
    "500 twice": lambda mock: mock.fail(500, retry_after=0, times=2),
    "dropped at once": lambda mock: mock.disconnect(after_chunks=0),
    "dropped after the role": lambda mock: mock.disconnect(after_chunks=ROLE_ONLY),
    "cut after the role": lambda mock: mock.truncate(after_chunks=ROLE_ONLY),
    "malformed first word": lambda mock: mock.corrupt(after_chunks=ROLE_ONLY),
    "stalled after the role": lambda mock: mock.stall(after_chunks=ROLE_ONLY, seconds=30),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("fault", RECOVERABLE)
def test_a_fault_before_the_first_content_is_tried_again(gateway, upstream, count, fault, stream):
    RECOVERABLE[fault](upstream.reply(TEXT, times=None))
    if stream:
        wire = read_wire(gateway, **request())
        assert_ended_well(wire)
        assert wire.text == TEXT
    else:
        assert ask(gateway) == TEXT
    assert count() == (3 if fault == "500 twice" else 2)
    # llmock's own verdict, Retry-After included. It goes on sending after a malformed chunk, and takes what comes
    # meanwhile for another call.
    upstream.assert_resilient(strict="malformed" not in fault)


def test_an_upstream_that_cannot_be_reached_is_502(gateway):
    with pytest.raises(openai.InternalServerError) as caught:
        ask(gateway, model="unreachable")
    assert caught.value.status_code == 502


def test_a_fallback_answers_for_an_upstream_that_cannot_be_reached(gateway, upstream, count):
    upstream.reply(TEXT)
    assert ask(gateway, model="with-spare") == TEXT
    assert count() == 1


# -- before the first content, for good: an HTTP status ------------------------------------------------------------

HOPELESS = {
    # fault, the SDK's exception, status, code, upstream requests
    "429": (lambda m: m.fail(429, retry_after=0, times=None), openai.RateLimitError, 429, None, 1 + MAX_RETRIES),
    "503": (lambda m: m.fail(503, retry_after=0, times=None), openai.InternalServerError, 502, None, 1 + MAX_RETRIES),
    "401": (lambda m: m.fail(401, times=None), openai.InternalServerError, 502, None, 1),
    "403": (lambda m: m.fail(403, times=None), openai.InternalServerError, 502, None, 1),
    "prompt too long": (
        lambda m: m.context_overflow(times=None), openai.BadRequestError, 400, "context_length_exceeded", 1
    ),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("fault", HOPELESS)
def test_a_fault_that_stays_is_an_http_status(gateway, upstream, count, fault, stream):
    break_it, exception, status, code, requests = HOPELESS[fault]
    break_it(upstream)
    with pytest.raises(exception) as caught:
        gateway.chat.completions.create(**request(), stream=stream)
    assert caught.value.status_code == status
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    if code:
        assert caught.value.code == code
    if status == 429:
        assert int(caught.value.response.headers["retry-after"]) >= 0
    assert count() == requests
    upstream.assert_resilient()


def test_a_failure_after_the_header_left_is_an_error_line(gateway, upstream, count):
    # Retry-After holds the run past the second after which the header leaves.
    upstream.fail(503, retry_after=1, times=None)
    assert_broke_off(read_wire(gateway, **request()))
    assert count() == 1 + MAX_RETRIES
    upstream.assert_resilient()


# -- after the first content: never tried again --------------------------------------------------------------------

MIDWAY = {
    "disconnect": (lambda m: m.disconnect(after_chunks=TWO_WORDS), 502),
    "truncate": (lambda m: m.truncate(after_chunks=TWO_WORDS), 502),
    "malformed": (lambda m: m.corrupt(after_chunks=TWO_WORDS), 502),
    "stall": (lambda m: m.stall(after_chunks=TWO_WORDS, seconds=30), 504),
}


@pytest.mark.parametrize("fault", MIDWAY)
def test_a_fault_midway_ends_a_stream_with_one_error_line(gateway, upstream, count, fault):
    MIDWAY[fault][0](upstream.reply(TEXT, times=None))
    wire = read_wire(gateway, **request())
    error = assert_broke_off(wire)
    assert wire.text == "alpha beta "
    assert error["code"] != "invalid_prompt"  # no tool has run: a client may try again
    assert count() == 1


@pytest.mark.parametrize("fault", MIDWAY)
def test_a_fault_midway_raises_in_the_sdk(gateway, upstream, fault):
    MIDWAY[fault][0](upstream.reply(TEXT, times=None))
    text = ""
    with pytest.raises(openai.APIError):
        for chunk in gateway.chat.completions.create(**request(), stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text == "alpha beta "


@pytest.mark.parametrize("fault", MIDWAY)
def test_a_fault_midway_is_a_status_without_streaming(gateway, upstream, count, fault):
    break_it, status = MIDWAY[fault]
    break_it(upstream.reply(TEXT, times=None))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(gateway)
    assert caught.value.status_code == status
    assert count() == 1


# -- slow ----------------------------------------------------------------------------------------------------------


def test_the_header_leaves_before_a_slow_first_token(gateway, upstream, count):
    # llmock says 200 at once and is silent then.
    upstream.reply(TEXT).slow_first_token(1.5)
    wire = read_wire(gateway, **request())
    assert_ended_well(wire)
    assert wire.text == TEXT
    assert wire.first_at < 1.4 < wire.first_text_at
    assert wire.comments  # the keep-alive, meanwhile
    assert count() == 1


def test_the_header_leaves_after_a_second_without_an_answer(gateway, upstream, count):
    # llmock holds even its status back.
    upstream.reply(TEXT).delay(1.8)
    wire = read_wire(gateway, **request())
    assert_ended_well(wire)
    assert 0.9 < wire.first_at < 1.7 < wire.first_text_at
    assert count() == 1


def test_no_first_byte_in_time_is_504(gateway, upstream, count):
    upstream.delay(2, times=None)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(gateway, model="hasty")
    assert caught.value.status_code == 504
    assert count() == 1 + MAX_RETRIES


def test_no_first_byte_in_time_is_an_error_line_once_the_header_left(gateway, upstream, count):
    upstream.delay(2, times=None)
    assert_broke_off(read_wire(gateway, **request(model="hasty")))
    assert count() == 1 + MAX_RETRIES


# -- with tools ----------------------------------------------------------------------------------------------------


class SecondCall:
    """A llmock match that lets the first model call pass. llmock asks it once a request."""

    def __init__(self):
        self.seen = 0

    def accepts(self, _info) -> bool:
        self.seen += 1
        return self.seen > 1


LATER_FAULTS = {
    "disconnect": lambda: StreamFault("disconnect", after_chunks=TWO_WORDS, match=SecondCall()),
    "503": lambda: Fail(503, retry_after=0, times=None, match=SecondCall()),
}


@pytest.mark.parametrize("fault", LATER_FAULTS)
def test_after_a_tool_with_effects_the_client_is_told_not_to_try_again(gateway, upstream, fault):
    upstream.call_tool("write_file", {"path": "made.txt", "content": "once"}).reply(TEXT, times=None)
    upstream.add(LATER_FAULTS[fault]())
    error = assert_broke_off(read_wire(gateway, **request()))
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_prompt")


@pytest.mark.parametrize("fault", LATER_FAULTS)
def test_after_a_tool_with_effects_the_status_is_none_that_sdks_retry(gateway, upstream, fault):
    upstream.call_tool("write_file", {"path": "made.txt", "content": "once"}).reply(TEXT, times=None)
    upstream.add(LATER_FAULTS[fault]())
    with pytest.raises(openai.BadRequestError) as caught:
        ask(gateway)
    assert caught.value.code == "invalid_prompt"


def test_after_a_tool_without_effects_the_client_may_try_again(gateway, upstream):
    upstream.call_tool("list_files", {}).reply(TEXT, times=None)
    upstream.add(LATER_FAULTS["disconnect"]())
    assert assert_broke_off(read_wire(gateway, **request()))["code"] != "invalid_prompt"


def test_a_failed_call_of_a_later_step_is_tried_again(gateway, upstream, count):
    upstream.call_tool("list_files", {}).reply(TEXT, times=None)
    upstream.add(Fail(503, retry_after=0, match=SecondCall()))
    wire = read_wire(gateway, **request())
    assert_ended_well(wire)
    assert wire.text == TEXT
    assert count() == 3


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
def test_a_broken_tool_call_is_told_to_the_model(gateway, upstream, count, llmock, llmock_server, kind):
    upstream.tool_mode("auto").break_tool_call(kind)
    wire = read_wire(gateway, **request("run a command in the terminal"))
    assert_ended_well(wire)
    assert count() == 2
    told = calls(llmock, llmock_server)[1].body["messages"][-1]
    assert told["role"] == "tool"
    assert told["content"]
