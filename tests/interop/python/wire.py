"""Reads a chat stream as the bytes it is, for what the SDK's typed view hides."""

import json
import time
from dataclasses import dataclass, field


@dataclass
class Wire:
    """The lines of one stream, sorted."""

    data: list[dict] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    done: bool = False
    """A `[DONE]` came, and nothing after it."""
    first_at: float = 0.0
    """Seconds from the request to the first data line."""
    first_text_at: float = 0.0

    @property
    def chunks(self) -> list[dict]:
        return [d for d in self.data if "error" not in d]

    @property
    def errors(self) -> list[dict]:
        return [d["error"] for d in self.data if "error" in d]

    @property
    def deltas(self) -> list[dict]:
        return [c["choices"][0]["delta"] for c in self.chunks if c["choices"]]

    @property
    def text(self) -> str:
        return "".join(d.get("content") or "" for d in self.deltas)

    @property
    def finish_reasons(self) -> list[str]:
        reasons = [c["choices"][0].get("finish_reason") for c in self.chunks if c["choices"]]
        return [r for r in reasons if r is not None]


def read_wire(client, **request) -> Wire:
    """Streams one chat completion and returns its lines. HTTP errors are raised as by the SDK."""
    wire = Wire()
    started = time.monotonic()
    create = client.chat.completions.with_streaming_response.create
    with create(stream=True, **request) as response:
        for line in response.iter_lines():
            if not line:
                continue
            assert not wire.done, f"after [DONE]: {line!r}"
            if line.startswith(":"):
                wire.comments.append(line)
            elif line == "data: [DONE]":
                wire.done = True
            elif line.startswith("data: "):
                wire.data.append(json.loads(line[6:]))
                now = time.monotonic() - started
                wire.first_at = wire.first_at or now
                if wire.text:
                    wire.first_text_at = wire.first_text_at or now
            else:
                wire.others.append(line)
    return wire


def assert_ended_well(wire: Wire, finish_reason: str = "stop"):
    """One role, one finish reason, one `[DONE]`, no error, no line that a plain SDK loop chokes on."""
    assert wire.errors == []
    assert wire.others == []
    assert [d["role"] for d in wire.deltas if "role" in d] == ["assistant"]
    assert wire.finish_reasons == [finish_reason]
    assert wire.done


def assert_broke_off(wire: Wire) -> dict:
    """One error line, the last one; nothing that looks like a good end. Returns the error."""
    assert len(wire.errors) == 1, wire.data
    assert "error" in wire.data[-1]
    assert wire.finish_reasons == []
    assert not wire.done
    error = wire.errors[0]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error
