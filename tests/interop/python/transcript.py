"""What must hold for every history that the daemon sends upstream."""


def assert_paired(messages: list[dict]):
    """Each tool call has one output before the next other message, each output has its call."""
    open_calls: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in open_calls, f"an output without its call: {message}"
            open_calls.remove(message["tool_call_id"])
            continue
        assert open_calls == [], f"calls without an output before {message}"
        open_calls = [call["id"] for call in message.get("tool_calls") or []]
        assert len(set(open_calls)) == len(open_calls), f"one id twice: {message}"
    assert open_calls == [], f"calls without an output: {open_calls}"
