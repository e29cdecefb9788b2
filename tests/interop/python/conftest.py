"""Fixtures all tests share: daemons and SDK clients."""

import pytest
from openai import OpenAI

from daemon import Daemon


# Named, because with nothing named a local Ollama would be asked.
REHEARSAL = {"upstreams": {"rehearsal": {"kind": "rehearsal"}}}


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


def strict_client(daemon: Daemon, api_key: str = "none", **options) -> OpenAI:
    """The official SDK: no retries that hide an answer, and every answer checked against its types."""
    options = {"max_retries": 0, "timeout": 30, "_strict_response_validation": True, **options}
    return OpenAI(base_url=daemon.base_url, api_key=api_key, **options)
