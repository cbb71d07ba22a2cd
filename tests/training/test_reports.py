"""Reports on a planted shop: from their jobs to what they found, and what training makes of it."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pandas as pd
import pytest
from django.conf import settings

from apps.accounts.models import AuditEntry
from apps.core.errors import Conflict, InvalidInput
from apps.datasets.leftout import shoppers_leave_out, shoppers_take_back
from apps.datasets.snapshots import snapshot_create
from apps.events.models import Shopper
from apps.events.services import event_record_many
from apps.jobs.models import Job, JobStatus
from apps.ml.dataset import Dataset
from apps.training.models import Recipe
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.report_work import report_execute
from apps.training.reports import (
    ROBUSTNESS,
    SHILLING,
    UPDATES,
    Report,
    report_job_create,
    report_last,
    report_of,
)
from tests.training.planted import END, shop_plant

pytestmark = pytest.mark.usefixtures("db")
BOTS = 15


@pytest.fixture
def ease() -> Recipe:
    shutil.rmtree(settings.SHOP_DIR, ignore_errors=True)
    recipes_ensure()
    recipe = Recipe.objects.get(code="ease")
    return recipe_update(recipe=recipe, changes={"preset": "tiny"}, by=None)


def made(job: Job) -> Report:
    report_execute(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE, job.error
    found = report_of(job)
    assert found is not None
    return found


def bots_plant() -> None:
    """A crowd of newcomers who all buy one product that nobody else wants, within two days."""
    rows = [
        {
            "client_event_id": f"bot{bot}-{line}",
            "kind": "purchase",
            "occurred_at": END - timedelta(days=1, hours=bot, minutes=line),
            "shopper": f"bot-{bot}",
            "sku": sku,
            "quantity": 1.0,
            "price": 5.0,
            "session": f"bot-{bot}",
        }
        for bot in range(BOTS)
        for line, sku in enumerate(["T3-11", f"T{bot % 4}-{bot % 12:02}", f"T{(bot + 1) % 4}-03"])
    ]
    assert event_record_many(frame=pd.DataFrame(rows), source="test").rejected == []


def test_robustness_is_told_by_damage_and_share(ease: Recipe) -> None:
    shop_plant()
    job = report_job_create(kind=ROBUSTNESS, recipe=ease)
    with pytest.raises(Conflict, match="made already"):
        report_job_create(kind=ROBUSTNESS, recipe=ease)
    found = made(job)
    assert set(found.facts["curves"]) == {"noise", "missing", "fake"}
    for points in found.facts["curves"].values():
        assert [point["share"] for point in points] == [0.0, 0.05, 0.1, 0.2, 0.4]
        assert points[0]["kept"] == 1.0
    last = report_last(kind=ROBUSTNESS, recipe=ease)
    assert last is not None
    assert last.job.pk == job.pk
    assert report_last(kind=ROBUSTNESS, recipe=Recipe.objects.get(code="popular")) is None


def test_updates_compare_ways_with_a_full_retrain(ease: Recipe) -> None:
    shop_plant()
    facts = made(report_job_create(kind=UPDATES, recipe=ease, days=3)).facts
    assert len(facts["days"]) == 3
    assert {"full", "frozen"} <= set(facts["ways"])
    assert facts["ways"]["full"]["cpu_seconds"] > 0
    assert facts["ways"]["frozen"]["against_full"] is not None


def test_a_crowd_is_found_left_out_and_taken_back(ease: Recipe) -> None:
    shop_plant()
    bots_plant()
    found = made(report_job_create(kind=SHILLING)).facts
    bots = set(Shopper.objects.filter(external_id__startswith="bot-").values_list("pk", flat=True))
    assert len(bots & set(found["flagged"])) >= 0.8 * BOTS
    assert len(set(found["flagged"]) - bots) <= 2
    before = snapshot_create()
    assert shoppers_leave_out(shoppers=bots, by=None, reason="A crowd") == BOTS
    assert shoppers_leave_out(shoppers=bots, by=None) == 0
    taught = Dataset.from_snapshot(snapshot_create().path)
    assert not set(taught.user_ids.tolist()) & bots
    assert not set(taught.users.ids.tolist()) & bots
    # What the report looks at from now on knows them no more.
    again = made(report_job_create(kind=SHILLING)).facts
    assert not set(again["flagged"]) & bots
    assert shoppers_take_back(shoppers=bots, by=None) == BOTS
    assert snapshot_create().content_hash == before.content_hash
    assert list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True)) == [
        "recipe.update",
        "shoppers.leave_out",
        "shoppers.take_back",
    ]


def test_wrong_questions_are_named(ease: Recipe) -> None:
    for wrong in (
        {"kind": "training.other"},
        {"kind": ROBUSTNESS},
        {"kind": SHILLING, "recipe": ease},
        {"kind": UPDATES, "recipe": ease, "days": 1},
        {"kind": UPDATES, "recipe": ease, "variant": "old"},
    ):
        with pytest.raises(InvalidInput):
            report_job_create(**wrong)
    with pytest.raises(InvalidInput):
        shoppers_leave_out(shoppers=[987_654], by=None)
