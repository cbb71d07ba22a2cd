"""The whole loop on one data set: data in → snapshot → models → lists → publication → slates over HTTP →
feedback → figures. `manage.py run_loop` prints what comes out.
"""

import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import Max

from apps.accounts.models import ApiClient
from apps.accounts.services import api_client_create, api_client_revoke, api_client_rotate
from apps.catalog.models import Product
from apps.core.errors import Conflict, RecoPortalError
from apps.datasets.models import Snapshot
from apps.datasets.snapshots import snapshot_create
from apps.events.consuming import inbox_drain
from apps.events.models import Interaction, Shopper
from apps.jobs.models import Job
from apps.merchandising.services import placements_ensure, weights_default_set
from apps.metrics.rollups import rollups_build
from apps.metrics.selectors import metric_summary, period_last
from apps.portal.programs import web_port, web_program
from apps.portal.stack import die_with_parent
from apps.serving.batch import lists_missing_build
from apps.training import comparison, runs
from apps.training.hybrid import live_versions
from apps.training.models import Recipe, TrainingRun
from apps.training.recipes import recipe_update, recipes_ensure
from recoportal.client import RecoPortal, Slate

HOST = "127.0.0.1"
PLACEMENT = "home"
CHANNEL = "run_loop"
WARM_UP, CALLS, FEEDBACK = 50, 500, 100
START_SECONDS, CALL_SECONDS = 60.0, 30.0
Say = Callable[[str], None]


class LoopBroken(RecoPortalError):
    """A step did not do what the next one stands on."""

    code = "loop_broken"


@dataclass(slots=True)
class Loop:
    """One pass. `seconds` fills as steps are done."""

    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and say that it is done."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)
        self.say(f"{name}: {self.seconds[name]:.1f} s")

    def snapshot(self) -> Snapshot:
        """Freeze the data set; feedback of an earlier pass through the loop came after its end."""
        with self.step("snapshot"):
            imported = Interaction.objects.exclude(channel=CHANNEL)
            end: datetime | None = imported.aggregate(last=Max("occurred_at"))["last"]
            if end is None:
                raise LoopBroken("The shop has no events; import a data set with transactions.")
            return snapshot_create(window_end=end + timedelta(seconds=1))

    def compare(self, snapshot: Snapshot, lists: Path | None) -> dict[str, Any]:
        """Judge every recipe and the hybrid by the data set's protocol; write the lists where asked to."""
        for recipe in recipes_ensure():
            if recipe.preset != "full":
                recipe_update(recipe=recipe, changes={"preset": "full"}, by=None)
        with self.step("compare"):
            found = comparison.comparison_run(
                snapshot=snapshot,
                on_progress=lambda part, text: self.say(f"{part:4.0%} {text}"),
            )
        if lists is not None:
            with self.step("write lists"):
                lists_write(comparison.comparison_lists(found=found), lists)
        self.train(snapshot)
        comparison.comparison_keep(found=found, snapshot=snapshot)
        return found.to_dict()

    def train(self, snapshot: Snapshot) -> None:
        """Fit every recipe on everything, register it and let the gate decide."""
        with self.step("train"):
            created = runs.runs_create(recipes=Recipe.objects.filter(active=True))
            if not created:
                raise LoopBroken("Every recipe of this shop is in training already; wait or cancel the runs.")
            TrainingRun.objects.filter(pk__in=[run.pk for run in created]).update(snapshot=snapshot)
            for run in created:
                runs.run_execute(job_id=run.job_id)
                self.say(f"{run.recipe.code}: {Job.objects.get(pk=run.job_id).result.get('status')}")
        if not live_versions():
            raise LoopBroken("No version went live; see the runs' logs under Models.")

    def publish(self, weights: dict[str, dict[str, float]]) -> None:
        """Build the lists of what is live and publish the weights tuned under each protocol."""
        with self.step("lists"):
            lists_missing_build()
        with self.step("publish"):
            placements_ensure()
            for publication in weights_default_set(
                weights=weights["new"], weights_repeat=weights["all"], note="Tuned on history"
            ):
                self.say(f"published {publication}")

    def serve(self) -> dict[str, Any]:
        """Slates over HTTP with their latency, feedback, and the figures that come of it."""
        with (
            self.step("serve"),
            api_key() as key,
            web_server() as address,
            RecoPortal(address, key, timeout=CALL_SECONDS, patience=5.0) as client,
        ):
            shoppers = list(Shopper.objects.order_by("?").values_list("external_id", flat=True)[:2_000])
            skus = list(Product.objects.filter(placeholder=False).values_list("sku", flat=True)[:5_000])
            taken, slates = timed_slates(client, shoppers, skus)
            clicks = feedback_send(client, slates[-FEEDBACK:])
        with self.step("measure"):
            inbox_drain()
            rollups_build()
            figures = metric_summary(period=period_last(days=1), placement=PLACEMENT)
        ctr = figures["ctr"].now
        if not ctr.value or figures["slates"].now.value is None:
            raise LoopBroken(f"{clicks} clicks were sent, but the day's figures show none.")
        p50, p99 = np.percentile(np.array(taken) * 1000, [50, 99])
        return {
            "slate": {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2), "calls": len(taken)},
            "feedback": {
                "slates": figures["slates"].now.value,
                "base": figures["ctr"].base,
                "clicks_sent": clicks,
                "ctr": round(ctr.value, 4),
            },
        }


def lists_write(frame: Any, path: Path) -> None:
    """CSV: model, protocol, customer (external id), rank, sku, score."""
    customers = dict(Shopper.objects.values_list("pk", "external_id"))
    skus = dict(Product.objects.values_list("pk", "sku"))
    frame = frame.assign(customer=frame["user_id"].map(customers), sku=frame["item_id"].map(skus))
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ["model", "protocol", "customer", "rank", "sku", "score"]
    frame.to_csv(path, columns=columns, index=False, float_format="%.6g")


def timed_slates(
    client: RecoPortal, shoppers: list[str], skus: list[str]
) -> tuple[list[float], list[tuple[str, Slate]]]:
    """Seconds of each call after a warm-up, and the answers of the home placement, each after its shopper."""
    choose = random.Random(0)
    taken: list[float] = []
    slates: list[tuple[str, Slate]] = []
    for number in range(WARM_UP + CALLS):
        shopper = choose.choice(shoppers)
        items = (choose.choice(skus),) if number % 5 == 4 and skus else ()
        started = time.perf_counter()
        if items:
            slate = client.slate("product", shopper=shopper, items=items)
        else:
            slate = client.slate(PLACEMENT, shopper=shopper)
        if number >= WARM_UP:
            taken.append(time.perf_counter() - started)
        if not slate.items:
            raise LoopBroken(f"The API answered without products: {slate}")
        if not items:
            slates.append((shopper, slate))
    return taken, slates


def feedback_send(client: RecoPortal, slates: list[tuple[str, Slate]]) -> int:
    """Report every slate as seen and a click on the first item of every fourth; how many clicks."""
    events: list[dict[str, Any]] = []
    clicks = 0
    for number, (shopper, slate) in enumerate(slates):
        report = {"shopper": shopper, "request_id": slate.request_id, "channel": CHANNEL}
        events.append({**report, "kind": "seen", "client_event_id": f"loop-{uuid.uuid4()}"})
        if number % 4 == 0:
            clicks += 1
            sku = slate.items[0].sku
            events.append({**report, "kind": "click", "sku": sku, "client_event_id": f"loop-{uuid.uuid4()}"})
    sent = client.send(events)
    if sent.accepted != len(events):
        raise LoopBroken(f"{len(events)} events were sent, {sent.accepted} accepted.")
    return clicks


@contextmanager
def api_key() -> Iterator[str]:
    """A key for the time of the block."""
    known = ApiClient.objects.filter(name=CHANNEL).first()
    if known is not None:
        client, key = api_client_rotate(client_id=known.pk)
    else:
        client, key = api_client_create(name=CHANNEL, scopes=("recommend", "events"))
    try:
        yield key
    finally:
        with suppress(Conflict):
            api_client_revoke(client_id=client.pk, reason="the loop is over")


@contextmanager
def web_server() -> Iterator[str]:
    """The site in a process of its own on a free port of this machine; gone after the block."""
    port = web_port(HOST, 0)
    program = web_program(host=HOST, port=port, workers=1)
    log = Path(settings.SHOP_DIR) / "run_loop-web.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *program.arguments],
            cwd=settings.BASE_DIR,
            env={**os.environ, **program.environment, "RECOPORTAL_DEBUG": "0"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    address = f"http://{HOST}:{port}"
    try:
        _wait_until_it_answers(process, address, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/api/v1/health/ready", timeout=5):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise LoopBroken(f"The web server did not start ({error}). It printed:\n{tail}") from error
            time.sleep(0.1)
