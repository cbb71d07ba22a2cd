"""A process remembers what it serves; a test must not see what another test left."""

from collections.abc import Iterator

import pytest

from apps.serving import memory


@pytest.fixture(autouse=True)
def serving_memory_fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start every test with nothing remembered, and look at the database at every slate."""
    monkeypatch.setattr(memory, "REFRESH_SECONDS", 0.0)
    memory.memory_forget()
    yield
    memory.memory_forget()
