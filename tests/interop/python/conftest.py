"""Fixtures all tests share: daemons and SDK clients."""

import functools
import sys

import pytest
import scenarios
from openai import OpenAI

from daemon import Daemon


# Named, because with nothing named a local Ollama would be asked.
REHEARSAL = {"upstreams": {"rehearsal": {"kind": "rehearsal"}}}


@pytest.fixture(scope="session", autouse=True)
def nothing_leaves_the_machine():
    """No library reports to anybody: loopback is all there is, and a try of anything else fails the run."""
    tried = []

    def hook(event, args):
        host = {"socket.getaddrinfo": lambda: args[0], "socket.connect": lambda: args[1][0]}.get(event, lambda: None)()
        if isinstance(host, str) and host not in ("127.0.0.1", "localhost", "::1"):
            tried.append(host)
            raise OSError(f"{host} is not this machine")

    sys.addaudithook(hook)
    yield
    assert tried == []


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """`start(config, env=None)`: a daemon in a folder of its own, for a `with` block."""

    def start(config: dict, env: dict | None = None) -> Daemon:
        return Daemon(tmp_path_factory.mktemp("nuncio"), config, env)

    return start


@pytest.fixture(scope="session")
def daemon(start):
    """One daemon with the built-in upstream and no key, for every test that needs no more."""
    with start(REHEARSAL) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def client(daemon):
    return strict_client(daemon)


@pytest.fixture(scope="session")
def every_profile(start):
    """A daemon with the profiles that the scenarios name."""
    with start(scenarios.CONFIG) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def heard(every_profile):
    """`heard(scenario)`: what the daemon said to it. It is asked once, however many read the answer."""
    return functools.cache(lambda scenario: scenarios.hear(scenario, every_profile.base_url))


def strict_client(daemon: Daemon, api_key: str = "none", **options) -> OpenAI:
    """The official SDK: no retries that hide an answer, and every answer checked against its types."""
    options = {"max_retries": 0, "timeout": 30, "_strict_response_validation": True, **options}
    return OpenAI(base_url=daemon.base_url, api_key=api_key, **options)
