"""Scripts for the built-in `rehearsal` upstream, which stands in for a model; docs/rehearsal.md has the grammar."""

import json


def call(tool: str, **arguments) -> str:
    return f"call: {tool} {json.dumps(arguments)}"


def say(text: str) -> str:
    return f"say: {text}"


def run(command: str) -> str:
    return f"run: {command}"


def count(to: int, pause: str) -> str:
    return f"count: {to} {pause}"


def echo(what: str) -> str:
    return f"echo: {what}"
