"""One small generated world for the tests of this folder; they only read it."""

from datetime import UTC, datetime

import pytest

from apps.portal.demo.world import World, world_build

END = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def world() -> World:
    """600 products, 900 shoppers, sixty days."""
    return world_build(end=END, seed=5, products=600, shoppers=900, days=60)
