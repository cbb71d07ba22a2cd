"""Raw records: what leaves as CSV runs nowhere, and no role changes without a trace."""

import csv
import io
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry, User
from apps.accounts.roles import MERCHANDISER, roles_sync
from apps.events.models import Shopper

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db


def test_export_defuses_formulas(client_of: ClientOf, adam: User) -> None:
    shopper = Shopper.objects.create(external_id="=HYPERLINK(1)", region="-2+3")
    answer = client_of(adam).post(
        reverse("admin:events_shopper_changelist"),
        {"action": "download_csv", "_selected_action": [shopper.pk]},
    )
    head, row = csv.reader(io.StringIO(answer.content.decode()))
    found = dict(zip(head, row, strict=True))
    assert (found["external_id"], found["region"]) == ("'=HYPERLINK(1)", "'-2+3")


def test_roles_are_given_on_the_team_page_alone(client_of: ClientOf, adam: User, ana: User) -> None:
    roles_sync()
    address = reverse("admin:accounts_user_change", args=[ana.pk])
    merchandiser = Group.objects.get(name=MERCHANDISER)
    answer = client_of(adam).post(
        address,
        {"username": "ana", "email": "ana@new.example", "is_active": "on", "is_staff": "on",
         "groups": [merchandiser.pk], "language": ana.language},
    )  # fmt: skip
    ana.refresh_from_db()
    assert answer.status_code == 302, answer.content.decode()
    assert ana.email == "ana@new.example"
    assert [group.name for group in ana.groups.all()] == ["analyst"]
    entry = AuditEntry.objects.get(verb="user.change")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["email"], entry.after["email"]) == ("ana@shop.example", "ana@new.example")


def test_shopper_without_consent_keeps_no_attributes(client_of: ClientOf, adam: User) -> None:
    shopper = Shopper.objects.create(
        external_id="s1", consent=True, age_band="25-34", gender="f", income_band="high", region="North"
    )
    address = reverse("admin:events_shopper_change", args=[shopper.pk])
    client_of(adam).post(address, {"age_band": "25-34", "gender": "f", "income_band": "high",
                                   "region": "North", "language": "en"})  # fmt: skip
    shopper.refresh_from_db()
    assert not shopper.consent
    assert (shopper.age_band, shopper.gender, shopper.income_band, shopper.region) == ("", "", "", "")
    assert shopper.language == ""
