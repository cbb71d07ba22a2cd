"""Fixtures of the browser tests."""

from tests.browser.studio import rest, shop

__all__ = ["rest", "shop"]
