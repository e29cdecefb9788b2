"""Background runs through the official SDK: polled, cancelled, and streams that are taken up again."""

import json

import openai
import pytest
import rehearsal
from daemon import processes, wait_for
from open_responses import event_faults, faults
from openai.types.responses import Response

SLOW = rehearsal.count(20, "20ms")
COUNTED = list(map(str, range(1, 21)))


def begin(client, script: str, **more):
    return client.responses.create(model="nuncio", input=script, background=True, **more)


def ended(client, id: str):
    """The response once it has ended."""

    def poll():
        response = client.responses.retrieve(id)
        return response.status not in ("queued", "in_progress") and response

    return wait_for(poll, 10, "the response has ended")


def allowed(response: Response) -> bool:
    """Open Responses has no fault to find."""
    return faults(json.loads(response.to_json(exclude_unset=True)), "ResponseResource") == set()


def test_a_response_is_polled(client):
    queued = begin(client, SLOW, metadata={"k": "v"})
    assert (queued.status, queued.background, queued.output) == ("queued", True, [])
    assert (queued.completed_at, queued.usage) == (None, None)
    assert allowed(queued)
    done = ended(client, queued.id)
    assert (done.status, done.background, done.metadata) == ("completed", True, {"k": "v"})
    assert done.output_text.split() == COUNTED
    assert done.usage.total_tokens > 0
    assert allowed(done)
    more = client.responses.create(model="nuncio", input=rehearsal.echo("messages"), previous_response_id=done.id)
    assert [message["role"] for message in json.loads(more.output_text)] == ["user", "assistant", "user"]
    with pytest.raises(openai.BadRequestError):
        begin(client, SLOW, store=False)


def test_a_failure_is_kept(client):
    failed = ended(client, begin(client, "say: So\ncut").id)
    assert (failed.status, failed.error.code, failed.output_text) == ("failed", "server_error", "So")
    # Nobody waits for a status: what fails before anything is said is kept too.
    assert ended(client, begin(client, "fail: 429").id).error.code == "rate_limit_exceeded"


def test_a_run_is_cancelled_down_to_its_processes(client, daemon):
    script = "\n".join(["say: Look", "run: echo $$ > background-pid; sleep 60; true"])
    response = begin(client, script)
    wait_for(lambda: written(daemon.workspace_files("background-pid")), 10, "the command runs")
    assert processes("> background-pid")
    cancelled = client.responses.cancel(response.id)
    assert cancelled.status == "cancelled"
    done = [(item.type, item.status) for item in cancelled.output]
    assert done == [("message", "completed"), ("mcp_call", "failed")]
    wait_for(lambda: daemon.runs_in_flight() == 0, 10, "the run has ended")
    wait_for(lambda: not processes("> background-pid"), 10, "the command has ended")
    assert client.responses.retrieve(response.id) == cancelled
    assert client.responses.cancel(response.id) == cancelled


def written(files) -> list[str]:
    return [text for file in files if (text := file.read_text().strip())]


def test_what_is_over_stays_as_it_is(client):
    response = client.responses.create(model="nuncio", input="say: Hello")
    assert client.responses.cancel(response.id).to_dict() == response.to_dict()
    with pytest.raises(openai.NotFoundError):
        client.responses.cancel("resp_none")


def test_a_stream_is_taken_up_where_it_broke_off(client):
    with begin(client, SLOW, stream=True) as stream:
        first = []
        for event in stream:
            first.append(event)
            if event.type == "response.output_text.delta":
                break
    assert [event.type for event in first[:3]] == ["response.created", "response.queued", "response.in_progress"]
    id, last = first[0].response.id, first[-1].sequence_number
    rest = list(client.responses.retrieve(id, stream=True, starting_after=last))
    events = first + rest
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas).split() == COUNTED
    assert events[-1].response == client.responses.retrieve(id)
    assert set().union(*(event_faults(event.to_dict()) for event in events)) == set()
    # Again from the start, and from the end.
    assert list(client.responses.retrieve(id, stream=True)) == events
    assert list(client.responses.retrieve(id, stream=True, starting_after=rest[-1].sequence_number)) == []


def test_the_stream_helper_takes_a_response_up(client):
    with begin(client, SLOW, stream=True) as stream:
        id = next(iter(stream)).response.id
    with client.responses.stream(response_id=id, starting_after=3) as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    assert numbers == list(range(4, numbers[-1] + 1))
    assert final.output_text.split() == COUNTED
    assert (final.id, final.status) == (id, "completed")


def test_a_response_of_the_foreground_is_streamed_again(client):
    script = "\n".join(["think: Hm", rehearsal.run("echo one"), "then", "say: Fine"])
    events = list(client.responses.create(model="nuncio", input=script, stream=True))
    again = list(client.responses.retrieve(events[0].response.id, stream=True))
    assert again == events


@pytest.mark.parametrize("background", [True, False])
def test_a_cancelled_stream_ends(client, background):
    request = {"model": "nuncio", "input": "say: So\nstall", "background": background}
    with client.responses.create(**request, stream=True) as stream:
        events = []
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta":
                client.responses.cancel(events[0].response.id)
    kept = client.responses.retrieve(events[0].response.id)
    assert (kept.status, events[-1].response) == ("cancelled", kept)
