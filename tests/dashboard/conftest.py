"""What holds for every test of the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import stores


@pytest.fixture(scope="session", autouse=True)
def _only_looked_at() -> Iterator[None]:
    """Nobody writes to the databases that all tests look at."""
    yield
    assert stores.changed() == []
