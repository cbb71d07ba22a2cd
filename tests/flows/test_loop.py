"""The loop closed once, over HTTP and through real workers: events, snapshot, training, lists, slate,
exposure, feedback, metrics, and the next training.
"""

import json
import shutil
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.services import api_client_create
from apps.core import clock
from apps.events.models import Exposure, Interaction
from apps.jobs.models import Job, JobStatus
from apps.jobs.queue import job_enqueue
from apps.merchandising.models import Placement
from apps.merchandising.services import placements_ensure
from apps.metrics.rollups import rollups_build
from apps.metrics.selectors import metric_summary, period_last
from apps.serving.models import ListBuild
from apps.serving.tasks import lists_missing_build
from apps.training.models import ModelVersion, Recipe, VersionStatus
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.runs import run_create
from tests.processes import RealProcess
from tests.training.planted import shop_plant

SOURCES = ("popular", "item_knn", "ease")
PATIENCE = 120.0


class Storefront:
    """A shop that asks for slates and reports what its shoppers did."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        _, self.key = api_client_create(name="storefront", scopes=["recommend", "events"])
        self.sent = 0

    def call(self, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Api-Key {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            parsed: dict[str, Any] = json.load(answer)
        return parsed

    def slate(self, placement: str, query: str) -> dict[str, Any]:
        return self.call(f"/api/v1/recommendations/{placement}?{query}")

    def report(self, **event: Any) -> None:
        self.sent += 1
        event = {"client_event_id": f"loop-{self.sent}", "shopper": "c0", "session": "visit-1", **event}
        assert self.call("/api/v1/events", event)["accepted"] == 1


def wait_for(what: str, ready: Callable[[], bool], *, worker: RealProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            failed = Job.objects.filter(status=JobStatus.FAILED).values_list("title", "error")
            pytest.fail(f"waited in vain for {what}; failed jobs: {list(failed)}\n{worker.log[-3000:]}")
        time.sleep(0.2)


def train(*codes: str, worker: RealProcess) -> None:
    """Queue a run of each recipe and wait until all have lists."""
    for code in codes:
        job_enqueue(run_create(recipe=Recipe.objects.get(code=code)).job)
    over = (JobStatus.DONE, JobStatus.FAILED)
    wait_for("training", lambda: not Job.objects.exclude(status__in=over).exists(), worker=worker)
    assert not Job.objects.filter(status=JobStatus.FAILED).exists()
    lists_missing_build.apply_async()
    live = ModelVersion.objects.filter(status=VersionStatus.LIVE)

    def built() -> bool:
        complete = ListBuild.objects.exclude(completed_at=None).values("version_id")
        return not live.exclude(pk__in=complete).exists()

    wait_for("lists", built, worker=worker)


@pytest.mark.slow
def test_what_shoppers_do_comes_back_as_better_slates_and_as_figures(
    committed_db: None,
    celery_worker_process: Callable[..., RealProcess],
    live_site_start: Callable[..., RealProcess],
) -> None:
    shutil.rmtree(settings.SHOP_DIR, ignore_errors=True)
    shop_plant()
    for recipe in recipes_ensure():
        recipe_update(recipe=recipe, changes={"preset": "tiny"}, by=None)
    placements_ensure()
    worker = celery_worker_process("default", "score", "train")
    site = live_site_start()
    shop = Storefront(site.url)

    before = shop.slate("home", "shopper=c0&n=5")
    assert before["rung"] == "catalogue", "nothing is trained yet, and still there is a slate"
    assert len(before["items"]) == 5

    train(*SOURCES, worker=worker)
    time.sleep(2)  # what is live now is served by every process two seconds later
    slate = shop.slate("home", "shopper=c0&n=5&session=visit-1")
    assert slate["rung"] == "shopper"
    assert slate["publication"] == 1
    assert {item["source"] for item in slate["items"]} <= set(SOURCES)
    own_taste = [item["sku"].startswith("T0-") for item in slate["items"]]
    assert sum(own_taste) >= 3, "c0 likes the things of T0"
    item = slate["items"][0]["sku"]
    assert shop.slate("product", f"items={item}&n=3")["rung"] == "items"
    assert shop.slate("cart", f"items={item},T0-01&n=3")["rung"] == "items"

    shop.report(kind="seen", request_id=slate["request_id"])
    shop.report(kind="click", sku=item, request_id=slate["request_id"])
    shop.report(kind="purchase", sku=item, quantity=2, price=5, request_id=slate["request_id"])
    shop.report(kind="not_interested", sku=slate["items"][1]["sku"])
    after = shop.slate("home", "shopper=c0&n=50")
    shown = [one["sku"] for one in after["items"]]
    assert item not in shown, "it was bought"
    assert slate["items"][1]["sku"] not in shown, "it was turned down"

    shown_once = Exposure.objects.filter(request_id=slate["request_id"])
    wait_for("the web process to store what it served", shown_once.exists, worker=worker)
    exposure = shown_once.get()
    clicked = Interaction.objects.filter(request_id=slate["request_id"], product_id=exposure.product_ids[0])
    assert clicked.count() == 2
    assert exposure.publication_id == Placement.objects.get(code="home").live_publication_id
    live = set(ModelVersion.objects.filter(status=VersionStatus.LIVE).values_list("pk", flat=True))
    assert set(exposure.model_version_ids) <= live

    rollups_build()
    figures = metric_summary(period=period_last(days=2, until=clock.now().date()), placement="home")
    assert figures["ctr"].now.value == 1.0, "the one slate that was seen was clicked"

    first = ModelVersion.objects.get(recipe__code="item_knn", status=VersionStatus.LIVE)
    train("item_knn", worker=worker)
    newest = ModelVersion.objects.filter(recipe__code="item_knn").latest("number")
    assert newest.number == first.number + 1
    assert newest.snapshot_hash != first.snapshot_hash, "the purchase is in the next snapshot"
