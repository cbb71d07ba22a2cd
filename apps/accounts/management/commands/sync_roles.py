"""`manage.py sync_roles`: role groups with the permissions the code names."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.accounts.roles import roles_sync


class Command(BaseCommand):
    """Make the role groups and give each its permissions; run it after every migrate."""

    help = "Make the role groups (merchandiser, analyst, ml_engineer, admin) and set their permissions."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line per role."""
        for role, count in roles_sync().items():
            self.stdout.write(f"{role}: {count} permissions")
