"""Named people of every test: maya, ana, mel and adam by role, otto without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client

from apps.accounts.models import User
from apps.accounts.roles import roles_sync

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

PASSWORD = "a-long-test-password"


def person(name: str, role: str | None) -> User:
    """Create a member of staff with one role, or an outsider without any."""
    user = User.objects.create_user(
        username=name, email=f"{name}@shop.example", password=PASSWORD, is_staff=role is not None
    )
    if role is not None:
        if not Group.objects.filter(name=role, permissions__isnull=False).exists():
            roles_sync()
        user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def maya(db: None) -> User:
    """The merchandiser."""
    return person("maya", "merchandiser")


@pytest.fixture
def ana(db: None) -> User:
    """The analyst, who changes nothing."""
    return person("ana", "analyst")


@pytest.fixture
def mel(db: None) -> User:
    """The ML engineer."""
    return person("mel", "ml_engineer")


@pytest.fixture
def adam(db: None) -> User:
    """The administrator."""
    return person("adam", "admin")


@pytest.fixture
def otto(db: None) -> User:
    """The outsider: has a login, belongs to no role."""
    return person("otto", None)


@pytest.fixture
def client_of(db: None) -> Callable[[User], Client]:
    """Give `client_of(user)`: a test client with that user logged in."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def browser_login(
    browser_context: BrowserContext, client_of: Callable[[User], Client]
) -> Callable[[User], None]:
    """Give `browser_login(user)`: the browser gets that user's session without typing a password."""

    def log_in(user: User) -> None:
        session = client_of(user).cookies[settings.SESSION_COOKIE_NAME].value
        browser_context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "domain": "127.0.0.1", "path": "/"}]
        )

    return log_in
