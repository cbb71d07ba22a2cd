"""A process remembers what it serves; a test must not see what another test left."""

from collections.abc import Iterator

import pytest

from apps.serving import memory, remembering


@pytest.fixture(autouse=True)
def serving_memory_fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start every test with nothing remembered or waiting, and look at the database at every slate."""
    for lifetime in ("REFRESH_SECONDS", "LISTS_SECONDS", "NO_LIST_SECONDS", "SHOPPER_SECONDS"):
        monkeypatch.setattr(memory, lifetime, 0.0)
    # A writer of its own would store outside the test's transaction: tests say when (exposures_flush).
    monkeypatch.setattr(remembering.BUFFER, "in_background", False)
    monkeypatch.setattr(remembering.BUFFER, "dropped", 0)
    remembering.BUFFER.forget()
    memory.memory_forget()
    yield
    memory.memory_forget()
