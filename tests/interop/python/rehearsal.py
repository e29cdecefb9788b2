"""Words that make the built-in `rehearsal` upstream do something; its grammar is in docs/rehearsal."""

import json


def call(tool: str, **arguments) -> str:
    return f"call {tool} {json.dumps(arguments)}"


def run(command: str) -> str:
    return f"run {command}"


def count(tokens: int, milliseconds: int) -> str:
    return f"count {tokens} {milliseconds}"
