"""A merchandiser cannot touch models, an analyst changes nothing, an outsider sees nothing."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client

from apps.accounts.models import User
from apps.accounts.roles import ROLE_CODES, roles_sync
from apps.accounts.selectors import user_roles

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def synced() -> None:
    """Give the groups their permissions."""
    roles_sync()


def fresh(user: User) -> User:
    """The user without cached permissions."""
    return User.objects.get(pk=user.pk)


def granted(user: User) -> set[str]:
    """All permissions of a user."""
    return set(fresh(user).get_all_permissions())


def test_the_merchandiser_cannot_touch_models(maya: User) -> None:
    found = granted(maya)
    assert {
        "merchandising.change_placement",
        "merchandising.add_publication",
        "catalog.change_product",
    } <= found
    assert "training.view_modelversion" in found
    assert not {name for name in found if name.startswith(("training.", "serving.")) and ".view_" not in name}


def test_the_analyst_changes_nothing(ana: User) -> None:
    found = granted(ana)
    assert "catalog.view_product" in found
    assert all(".view_" in name for name in found)


def test_the_ml_engineer_has_models_but_no_rules(mel: User) -> None:
    found = granted(mel)
    assert {"training.change_modelversion", "jobs.change_job"} <= found
    assert "merchandising.change_draft" not in found


def test_only_the_admin_sees_people_keys_and_the_audit_trail(
    maya: User, ana: User, mel: User, adam: User
) -> None:
    for user in (maya, ana, mel):
        assert not {name for name in granted(user) if name.startswith(("accounts.", "auth.", "axes."))}
    assert granted(adam) == {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in Permission.objects.select_related("content_type")
    }


def test_an_outsider_sees_nothing(otto: User, client_of: Callable[[User], Client]) -> None:
    assert granted(otto) == set()
    assert user_roles(otto) == frozenset()
    for address in ("/admin/", "/admin/catalog/product/", "/admin/training/modelversion/"):
        assert client_of(otto).get(address).status_code in (302, 403)


def test_syncing_again_changes_nothing_and_takes_back_what_was_added(
    maya: User, capsys: pytest.CaptureFixture[str]
) -> None:
    before = granted(maya)
    group = maya.groups.get()
    group.permissions.add(Permission.objects.get(codename="change_modelversion"))
    call_command("sync_roles")
    assert granted(maya) == before
    assert {line.split(":")[0] for line in capsys.readouterr().out.splitlines()} == ROLE_CODES
