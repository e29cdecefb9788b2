"""Marks tests of what the daemon does not do yet. One that passes fails the run: then its mark is to go."""

import pytest


def later(reason: str):
    return pytest.mark.xfail(reason=reason, strict=True)
