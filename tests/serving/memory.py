"""A process remembers what it serves; a test must not see what another test left."""

from collections.abc import Iterator

import pytest

from apps.serving import memory, remembering


@pytest.fixture(autouse=True)
def serving_memory_fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start every test with nothing remembered, and look at the database at every slate."""
    monkeypatch.setattr(memory, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(remembering, "_retry_at", 0.0)
    remembering._waiting.clear()
    memory.memory_forget()
    yield
    memory.memory_forget()
