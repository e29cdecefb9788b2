"""A client that goes away takes its run with it: down to the upstream's socket and the tool's processes."""

import asyncio
import time

import pytest
import rehearsal
from conftest import strict_client
from daemon import processes, wait_for
from openai import AsyncOpenAI
from stand_in import BUSY, SAYS, StandIn

CANCEL_SECONDS = 1
KILL_SECONDS = 2


@pytest.fixture(scope="module")
def upstream():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def gateway(start, upstream):
    stand_in = {"kind": "openai_chat", "base_url": upstream.base_url, "model": "stand-in"}
    with start({"upstreams": {"stand-in": stand_in}}) as daemon:
        yield daemon


async def ask(daemon, stream: bool, text: str):
    """Asks and reads to the end; cancelling this closes the SDK's connection."""
    client = AsyncOpenAI(base_url=daemon.base_url, api_key="none", max_retries=0, timeout=60)
    answer = await client.chat.completions.create(
        model="nuncio", messages=[{"role": "user", "content": text}], stream=stream
    )
    if stream:
        async for _ in answer:
            pass


async def abort_when(daemon, stream: bool, text: str, condition) -> float:
    """Cancels the request once `condition()` holds; returns when."""
    task = asyncio.create_task(ask(daemon, stream, text))
    await asyncio.to_thread(condition)
    assert not task.done(), "the request ended by itself"
    cancelled_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return cancelled_at


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("says", SAYS)
def test_an_abort_reaches_the_upstream(gateway, upstream, says, stream):
    upstream.says = SAYS[says]
    cancelled_at = asyncio.run(abort_when(gateway, stream, "hello", lambda: upstream.asked.get(timeout=10)))
    assert upstream.closed.get(timeout=10) - cancelled_at < CANCEL_SECONDS
    wait_for(lambda: gateway.runs_in_flight() == 0, CANCEL_SECONDS, "the run is over")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_an_abort_ends_the_wait_before_a_retry(gateway, upstream, stream):
    upstream.says = BUSY
    asyncio.run(abort_when(gateway, stream, "hello", lambda: upstream.asked.get(timeout=10)))
    wait_for(lambda: gateway.runs_in_flight() == 0, CANCEL_SECONDS, "the run is over")
    assert upstream.asked.empty()


def test_closing_a_stream_after_its_first_word_reaches_the_upstream(gateway, upstream):
    upstream.says = SAYS["one word"]
    stream = strict_client(gateway).chat.completions.create(
        model="nuncio", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    assert any(chunk.choices[0].delta.content == "word " for chunk in stream)
    upstream.asked.get(timeout=10)
    closed_at = time.monotonic()
    stream.close()
    assert upstream.closed.get(timeout=10) - closed_at < CANCEL_SECONDS


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_an_abort_kills_the_tool_and_all_it_started(daemon, stream):
    # A child in a session of its own that ignores SIGTERM: only a real reaper gets it.
    name = f"pids-{'stream' if stream else 'plain'}"
    child = f"trap \"\" TERM; echo $$ >> {name}; while :; do sleep 1; done"
    command = f"setsid sh -c '{child}' & echo $$ >> {name}; sleep 60; true"

    def pids() -> list[str]:
        return [pid for file in daemon.workspace_files(name) for pid in file.read_text().split()]

    def both_run():
        wait_for(lambda: len(pids()) == 2, 10, "two pids")
        assert len(processes(f">> {name}")) >= 2

    asyncio.run(abort_when(daemon, stream, rehearsal.run(command), both_run))
    wait_for(lambda: not processes(f">> {name}"), KILL_SECONDS, "both processes are gone")
