"""Servers of tools that others wrote: the reference servers of npm and PyPI, over stdio and streamable HTTP."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import rehearsal

from daemon import wait_for

HERE = Path(__file__).resolve().parent.parent
PACKAGES = HERE / "node_modules/@modelcontextprotocol"
PINNED_NODE = HERE / "node_modules/.bin/node"
NODE = str(PINNED_NODE) if PINNED_NODE.exists() else "node"
EVERYTHING = [str(PACKAGES / "server-everything/dist/index.js")]
FILESYSTEM = str(PACKAGES / "server-filesystem/dist/index.js")
TIME = [sys.executable, "-m", "mcp_server_time"]


@pytest.fixture(scope="module")
def everything_over_http():
    """The reference server as a service of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [NODE, *EVERYTHING, "streamableHttp"]
    env = {"PATH": os.environ["PATH"], "PORT": str(port)}
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listening():
        assert process.poll() is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listening, 20, "the server listens")
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def daemon(start, tmp_path_factory, everything_over_http):
    folder = tmp_path_factory.mktemp("documents").resolve()
    (folder / "note.txt").write_text("written before\n")
    # A daemon that is root runs them as somebody else.
    folder.chmod(0o777)
    packages, python = [str(HERE / "node_modules")], [sys.prefix, sys.base_prefix]
    servers = {
        "http": {"url": everything_over_http},
        "stdio": {"command": NODE, "args": EVERYTHING, "read": packages},
        "files": {"command": NODE, "args": [FILESYSTEM, str(folder)], "read": packages, "write": [str(folder)]},
        "time": {"command": TIME[0], "args": TIME[1:], "read": python, "network": "none"},
    }
    config = {"upstreams": {"rehearsal": {"kind": "rehearsal"}}, "mcp_servers": servers}
    with start(config) as daemon:
        daemon.documents = folder
        wait_for(lambda: all(line["state"] == "up" for line in health(daemon).values()), 60, "all servers are up")
        yield daemon


def health(daemon) -> dict:
    lines = httpx.get(f"{daemon.root_url}/health/detailed").json()["mcp_servers"]
    return {line["name"]: line for line in lines}


def call(daemon, tool: str, **arguments) -> dict:
    """The `mcp_call` item of a call."""
    request = {"model": "nuncio", "input": rehearsal.call(tool, **arguments)}
    response = httpx.post(f"{daemon.base_url}/responses", json=request, timeout=60).json()
    assert response["status"] == "completed", response
    return response["output"][0]


def told(daemon, tool: str, **arguments) -> str:
    item = call(daemon, tool, **arguments)
    assert item["error"] is None, item
    return item["output"]


@pytest.fixture(params=["stdio", "http"])
def server(request):
    return request.param


def test_text_and_numbers(daemon, server):
    """Both have the same tools, so each of them is prefixed."""
    item = call(daemon, f"{server}__echo", message="hi")
    assert (item["server_label"], item["name"], item["output"]) == (server, "echo", "Echo: hi")
    assert "42" in told(daemon, f"{server}__get-sum", a=40, b=2)


def test_structured_results(daemon, server):
    text = told(daemon, f"{server}__get-structured-content", location="New York")
    assert {"temperature", "conditions", "humidity"} <= json.loads(text).keys()


def test_arguments_that_do_not_fit_are_told(daemon, server):
    item = call(daemon, f"{server}__get-sum", a="forty", b=2)
    assert item["status"] == "failed"
    assert "do not fit its schema" in item["error"]["content"][0]["text"]


def test_resources_are_listed_and_read(daemon, server):
    listed = told(daemon, "read_resource", server=server)
    uri = next(word for word in listed.split() if word.startswith("demo://resource/static/"))
    assert told(daemon, "read_resource", server=server, uri=uri).startswith(f"[resource {uri}]\n")
    assert "(template)" in listed


def test_prompts_are_listed_and_got(daemon, server):
    assert "args-prompt" in health(daemon)[server]["prompts"]
    text = told(daemon, "get_prompt", server=server, prompt="args-prompt", arguments={"city": "Oslo"})
    assert text.startswith("[user]\n") and "Oslo" in text


def test_an_embedded_resource_is_told(daemon, server):
    text = told(daemon, f"{server}__get-resource-reference", resourceType="Text", resourceId=1)
    assert "[resource demo://resource/dynamic/text/1]" in text


def test_progress_shows_as_activity(daemon, server):
    question = rehearsal.call(f"{server}__trigger-long-running-operation", duration=1, steps=4)
    request = {"model": "nuncio", "stream": True, "messages": [{"role": "user", "content": question}]}
    with httpx.stream("POST", f"{daemon.base_url}/chat/completions", json=request, timeout=60) as answer:
        text = "".join(answer.iter_text())
    # Progress of the last step may come after the answer.
    assert "1 of 4" in text and "2 of 4" in text
    assert "Long running operation completed" in text


def test_the_file_server_reads_and_writes_where_it_may(daemon):
    """Its names are those of built-in tools, so they are prefixed; the others are not."""
    note, new = str(daemon.documents / "note.txt"), str(daemon.documents / "new.txt")
    assert told(daemon, "read_text_file", path=note) == "written before\n"
    call(daemon, "files__write_file", path=new, content="by the model")
    assert Path(new).read_text() == "by the model"
    outside = call(daemon, "read_text_file", path="/etc/hostname")
    assert outside["status"] == "failed" and "denied" in outside["error"]["content"][0]["text"]


def test_a_server_written_in_python(daemon):
    tools = health(daemon)["time"]["tools"]
    assert tools == ["convert_time", "get_current_time"]
    now = json.loads(told(daemon, "get_current_time", timezone="Europe/Oslo"))
    assert now["timezone"] == "Europe/Oslo"


def test_every_server_is_there_without_a_fault(daemon):
    lines = health(daemon)
    assert {name: (line["state"], line["restarts"], line["notes"]) for name, line in lines.items()} == {
        name: ("up", 0, []) for name in ("files", "http", "stdio", "time")
    }
