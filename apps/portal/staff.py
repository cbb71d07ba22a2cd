"""One login per role for the demo shop, which listens on this machine alone."""

from __future__ import annotations

from dataclasses import dataclass

from apps.accounts.models import User
from apps.accounts.roles import ADMIN, ANALYST, MERCHANDISER, ML_ENGINEER
from apps.accounts.services import staff_create


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """A demo member of staff."""

    username: str
    role: str

    @property
    def password(self) -> str:
        """The password it is created with."""
        return f"{self.username}-demo"


DEMO_LOGINS = (
    DemoLogin("maya", MERCHANDISER),
    DemoLogin("ana", ANALYST),
    DemoLogin("mel", ML_ENGINEER),
    DemoLogin("adam", ADMIN),
)


def demo_staff_ensure() -> int:
    """Create the demo logins that don't exist, leave the others alone; returns how many are new."""
    existing = set(User.objects.values_list("username", flat=True))
    fresh = [login for login in DEMO_LOGINS if login.username not in existing]
    for login in fresh:
        staff_create(
            username=login.username,
            password=login.password,
            roles=[login.role],
            email=f"{login.username}@demo.example",
        )
    return len(fresh)
