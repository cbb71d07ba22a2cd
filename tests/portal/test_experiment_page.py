"""The page of one experiment: tabs, views, controls in words, downloads, post-mortem, who may what."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import AuditEntry, User
from apps.core import clock
from apps.experiments.learnings import learnings_get
from apps.experiments.models import Experiment, Readout
from apps.experiments.results import Srm
from apps.experiments.tables import TABLES
from apps.portal.charts import peeking
from tests.portal.experiment_samples import analysis_sample
from tests.portal.running_experiment import experiment_make, readout_store
from tests.portal.small_shop import SmallShop, small_shop_make

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
TABS = ("", "days/", "segments/", "health/", "variants/", "log/")
PEEKING = Path(__file__).parents[2] / "apps/experiments/PEEKING.md"


@pytest.fixture
def shop() -> SmallShop:
    return small_shop_make()


@pytest.fixture
def running(shop: SmallShop, maya: User) -> Experiment:
    return experiment_make(maya)


def text_of(client: Client, path: str) -> str:
    answer = client.get(path, follow=True)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_results_tell_the_verdict_and_every_view(running: Experiment, ana: User, client_of: ClientOf) -> None:
    client = client_of(ana)
    text = text_of(client, "/experiments/taste/")
    assert "Ship Bold" in text
    assert "Conversion of shoppers is better with Bold" in text
    assert "What would change our mind" in text
    assert "Split: As planned" in text
    assert "+1.0% to +11.0%" in text
    assert "figure-effects" in text
    assert "rp-button-primary" not in text.partition("rp-exp-head")[0].rpartition("rp-page-actions")[2]
    assert "+3.5% to +8.5%" in text_of(client, "/experiments/taste/?view=fixed")
    bayes = text_of(client, "/experiments/taste/?view=bayes")
    assert "Chance to be better" in bayes
    assert "&gt; 99.9%" in bayes
    chinese = client.get("/experiments/taste/", headers={"accept-language": "zh-hans"}).content.decode()
    assert "全量上线 Bold" in chinese
    assert "什么会改变这一结论" in chinese


def test_tabs_stand_without_figures_too(running: Experiment, ana: User, client_of: ClientOf) -> None:
    client = client_of(ana)
    for tab in TABS:
        text_of(client, f"/experiments/taste/{tab}")
    Readout.objects.all().delete()
    for tab in TABS:
        text = text_of(client, f"/experiments/taste/{tab}")
        assert "Nothing counted yet" in text or tab in ("variants/", "log/")


def test_days_and_segments_follow_the_chosen_metric(
    running: Experiment, ana: User, client_of: ClientOf
) -> None:
    client = client_of(ana)
    days = text_of(client, "/experiments/taste/days/")
    assert "Conversion of shoppers: change so far" in days
    other = text_of(client, "/experiments/taste/days/?metric=ctr&view=fixed")
    assert "There are no days to draw for this metric yet." in other
    segments = text_of(client, "/experiments/taste/segments/")
    assert "Region: North" in segments
    assert "There are 2 comparisons here." in segments
    for path in ("days/so-far", "days/by-day", "segments/segments", "health/exposures", "results/effects"):
        answer = client.get(f"/experiments/taste/charts/{path}.csv?metric=conversion&view=sequential")
        assert answer.status_code == 200, path
        assert len(list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))) > 1
    assert client.get("/experiments/taste/charts/days/nothing.csv").status_code == 404


def test_variants_stand_side_by_side(running: Experiment, ana: User, client_of: ClientOf) -> None:
    text = text_of(client_of(ana), "/experiments/taste/variants/?placement=home&shopper=shopper-1")
    assert text.count("data-slate-card") >= 20
    assert "weight from" in text
    assert re.search(r"[1-6] of 6 sampled slates differ from control\.", text)
    assert "Other products: " in text
    assert text.count("versus=publication") > 10
    fresh = client_of(ana).get("/experiments/taste/variants/")
    assert "shopper=shopper-" in fresh["Location"]


def test_tables_are_downloaded(running: Experiment, ana: User, client_of: ClientOf) -> None:
    client = client_of(ana)
    for table in TABLES:
        text = client.get(f"/experiments/taste/tables/{table}.csv")
        assert text["Content-Disposition"] == f'attachment; filename="taste-{table}.csv"'
        lines = list(csv.DictReader(io.StringIO(text.content.decode("utf-8-sig"))))
        stored = pq.read_table(io.BytesIO(client.get(f"/experiments/taste/tables/{table}.parquet").content))
        assert len(lines) == stored.num_rows > 0
        assert client.get(f"/experiments/taste/tables/{table}.xlsx").status_code == 404
    assert client.get("/experiments/none/tables/log.csv").status_code == 404


def test_an_experiment_is_shipped_and_taken_back(
    running: Experiment, shop: SmallShop, maya: User, client_of: ClientOf
) -> None:
    client = client_of(maya)
    page = text_of(client, "/experiments/taste/")
    assert {"More traffic…", "Pause…", "End…", "Ship…"} <= set(re.findall(r"</span>([^<>]+…)</button>", page))
    dialog = client.get("/experiments/taste/act/ship/", headers=HTMX).content.decode()
    assert "every shopper gets it from" in dialog
    assert "The experiment ends, and its slice" in dialog
    assert re.search(r'value="bold" checked', dialog)
    done = client.post(
        "/experiments/taste/act/ship/now/", {"variant": "bold", "note": "Clear enough"}, headers=HTMX
    )
    assert done["HX-Redirect"] == "/experiments/taste/"
    shop.home.refresh_from_db()
    assert shop.home.live_publication is not None
    assert shop.home.live_publication.weights["ease"] == 0.9
    assert "Take it back…" in text_of(client, "/experiments/taste/")
    log = text_of(client, "/experiments/taste/log/")
    assert "Shipped Bold: every shopper sees it now." in log
    assert "Clear enough" in log
    assert client.get("/experiments/taste/act/ship/").status_code == 404
    client.post("/experiments/taste/act/undo/now/")
    running.refresh_from_db()
    assert (running.status, running.decision) == ("paused", "")


def test_controls_say_what_they_do_and_do_it(running: Experiment, maya: User, client_of: ClientOf) -> None:
    client = client_of(maya)
    for what, words, status in (
        ("pause", "It is paused", "paused"),
        ("end", "It is over", "ended"),
        ("roll-back", "It is rolled back", "ended"),
        ("keep", "What is live stays", "ended"),
        ("ramp", "More of the traffic", "running"),
    ):
        with transaction.atomic():
            assert "What will change" in client.get(f"/experiments/taste/act/{what}/").content.decode()
            answer = client.post(f"/experiments/taste/act/{what}/now/", follow=True)
            assert words in answer.content.decode()
            running.refresh_from_db()
            assert (running.status, running.traffic) == (status, 1.0 if what == "ramp" else 0.1)
            transaction.set_rollback(True)


def test_a_paused_one_goes_on(running: Experiment, maya: User, client_of: ClientOf) -> None:
    client = client_of(maya)
    client.post("/experiments/taste/act/pause/now/")
    assert client.get("/experiments/taste/act/pause/").status_code == 404
    assert "Go on…" in text_of(client, "/experiments/taste/")
    client.post("/experiments/taste/act/resume/now/")
    running.refresh_from_db()
    assert running.status == "running"


def test_a_broken_split_is_shipped_only_with_a_reason(
    running: Experiment, maya: User, client_of: ClientOf
) -> None:
    broken = Srm(1e-9, "blocked", 1e-8, {"control": 6_000, "bold": 4_000}, {"control": 0.5, "bold": 0.5})
    readout_store(running, replace(analysis_sample("blocked"), srm=broken))
    client = client_of(maya)
    assert "Split: Broken" in text_of(client, "/experiments/taste/")
    assert "The split is broken" in text_of(client, "/experiments/taste/health/")
    dialog = client.get("/experiments/taste/act/ship/").content.decode()
    assert "Ship all the same" in dialog
    refused = client.post("/experiments/taste/act/ship/now/", {"variant": "bold"}, headers=HTMX)
    assert "Say why it is shipped" in refused.content.decode()
    client.post("/experiments/taste/act/ship/now/", {"variant": "bold", "note": "We must"}, headers=HTMX)
    running.refresh_from_db()
    assert running.decision == "ship"
    assert "by force" in text_of(client, "/experiments/taste/log/")


def test_a_split_broken_within_a_segment_is_shipped_only_with_a_reason(
    running: Experiment, maya: User, client_of: ClientOf
) -> None:
    readout_store(running, analysis_sample("blocked"))
    client = client_of(maya)
    assert "Ship all the same" in client.get("/experiments/taste/act/ship/").content.decode()
    refused = client.post("/experiments/taste/act/ship/now/", {"variant": "bold"}, headers=HTMX)
    assert "Say why it is shipped" in refused.content.decode()
    client.post("/experiments/taste/act/ship/now/", {"variant": "bold", "note": "We must"}, headers=HTMX)
    running.refresh_from_db()
    assert running.decision == "ship"


def test_post_mortem_comes_at_the_end_and_keeps_what_was_learned(
    running: Experiment, maya: User, ana: User, client_of: ClientOf
) -> None:
    client = client_of(maya)
    early = client.get("/experiments/taste/post-mortem/", follow=True)
    assert early.redirect_chain == [("/experiments/taste/", 302)]
    assert "The post-mortem comes when the experiment is over." in early.content.decode()
    client.post("/experiments/taste/act/keep/now/", {"note": "Too small"})
    page = text_of(client, "/experiments/taste/post-mortem/")
    assert "What was live stays." in page
    assert "Kept as it was" in text_of(client, "/experiments/taste/")
    assert "More taste, more orders." in page
    assert "weight from" in page
    assert "Too small" in page
    client.post("/experiments/taste/learnings/", {"learnings": "  Try it on the cart.  "})
    assert learnings_get(experiment=running) == "Try it on the cart."
    client.post("/experiments/taste/learnings/", {"learnings": "Try it on the cart."})
    assert running.log.filter(kind="learned").count() == 1
    assert AuditEntry.objects.filter(verb="experiment.learn", actor=maya).count() == 1
    assert "Try it on the cart." in text_of(client_of(ana), "/experiments/taste/post-mortem/")
    assert client.post("/experiments/taste/learnings/", {"learnings": "x" * 10_001}).status_code == 400


def test_it_is_counted_when_asked(running: Experiment, maya: User, ana: User, client_of: ClientOf) -> None:
    Readout.objects.all().delete()
    client = client_of(maya)
    assert "Count now" in text_of(client, "/experiments/taste/")
    answer = client.post("/experiments/taste/refresh/", {"next": "/experiments/taste/health/"}, follow=True)
    assert answer.redirect_chain == [("/experiments/taste/health/", 302)]
    assert "The figures are fresh." in answer.content.decode()
    assert Readout.objects.get().error == ""
    text_of(client, "/experiments/taste/")
    away = client.post("/experiments/taste/refresh/", {"next": "https://evil.example/"})
    assert away["Location"] == "/experiments/taste/"
    assert client_of(ana).post("/experiments/taste/refresh/").status_code == 403


def test_analysts_look_only(running: Experiment, ana: User, client_of: ClientOf) -> None:
    client = client_of(ana)
    page = text_of(client, "/experiments/taste/")
    assert "that needs the merchandiser role" in page
    assert "Ship…" not in page
    for what in ("pause", "ship", "end"):
        assert client.post(f"/experiments/taste/act/{what}/now/").status_code == 403
    assert client.post("/experiments/taste/learnings/", {"learnings": "x"}).status_code == 403
    running.refresh_from_db()
    assert running.status == "running"


def test_old_figures_and_failed_counts_are_told(running: Experiment, ana: User, client_of: ClientOf) -> None:
    client = client_of(ana)
    Readout.objects.update(computed_at=clock.now() - timedelta(hours=3))
    page = text_of(client, "/experiments/taste/")
    assert "as of 3 hours ago" in page
    assert "history_toggle_off" in page
    Readout.objects.update(error="The metric ctr is gone.")
    assert "The metric ctr is gone." in text_of(client, "/experiments/taste/")
    assert client.get("/experiments/nothing/").status_code == 404


def test_peeking_shows_the_benchmarks_figures(ana: User, client_of: ClientOf) -> None:
    written = PEEKING.read_text(encoding="utf-8")
    for looks, usual, valid in peeking.BY_LOOKS:
        row = rf"^\s+{looks}\s+#+ {usual} %\n\s+=* ?{valid} %$"
        assert re.search(row, written, re.MULTILINE), looks
    for share in (peeking.ONCE, peeking.EVERY, peeking.VALID, peeking.GONE, peeking.FOUND):
        assert f"{100 * share:g} %" in written or f"{100 * share:.1f} %" in written
    assert f"{peeking.EXPERIMENTS} experiments" in written
    assert f"{peeking.SERIES} series" in written
    page = text_of(client_of(ana), "/experiments/peeking/")
    assert "29.5%" in page
    assert client_of(ana).get("/experiments/peeking/figures.csv").status_code == 200


def test_the_page_leads_back_to_the_list_and_on_to_a_copy(
    running: Experiment, ana: User, maya: User, client_of: ClientOf
) -> None:
    body = client_of(maya).get("/experiments/taste/").content.decode()
    assert '<a class="rp-button" href="/experiments/">' in body
    assert "/experiments/taste/ask/copy/" in body
    looking = client_of(ana).get("/experiments/taste/").content.decode()
    assert '<a class="rp-button" href="/experiments/">' in looking
    assert "/ask/copy/" not in looking


def test_each_kind_has_a_panel_of_its_own(running: Experiment, ana: User, client_of: ClientOf) -> None:
    client = client_of(ana)
    preference = {"clicking": 2_100, "share": 0.56, "preference": 0.12, "se": 0.018}
    sensitivity = {"times": 28.4, "low": 9.0, "high": 61.0}
    effect = {"slots": 40, "treated_slots": 21, "effect": 0.011, "low": 0.002, "high": 0.02, "p": 0.018}
    effect |= {"p_randomised": 0.02, "p_carry_over": 0.01}
    stored = analysis_sample().as_json() | {
        "interleaving": {"preference": preference, "sensitivity": sensitivity},
        "switchback": {"metric": "conversion", "slot_minutes": 60, "effect": effect},
    }
    Readout.objects.update(analysis=stored)
    pages = {}
    for kind in ("bandit", "interleaving", "switchback"):
        Experiment.objects.update(kind=kind)
        pages[kind] = text_of(client, "/experiments/taste/")
    assert "Where the traffic went" in pages["bandit"]
    table = client.get("/experiments/taste/charts/results/shares.csv")
    assert table.status_code == 404
    assert "Ship Bold" in pages["interleaving"]
    assert "Shoppers prefer Bold. 56.0%" in pages["interleaving"]
    assert "need at least 28 times as many shoppers" in pages["interleaving"]
    assert "CUPED" not in pages["interleaving"] + pages["switchback"]
    assert "(9.0 to 61 times)" in pages["interleaving"]
    assert "+1.10 pp" in pages["switchback"]
    assert "What one slot shows still acts in the next" in pages["switchback"]
    assert "Too early to tell" in pages["switchback"]
    for tab in ("days/", "segments/", "health/"):
        assert "Nothing to compare here" in text_of(client, f"/experiments/taste/{tab}")
    Experiment.objects.update(planned_days=5)
    assert "Ship Bold" in text_of(client, "/experiments/taste/")
    Experiment.objects.update(kind="bandit")
    shares = client.get("/experiments/taste/charts/results/shares.csv").content.decode("utf-8-sig")
    assert shares.splitlines()[0] == "Moment,Live,Bold"
    assert shares.splitlines()[1].endswith(",0.5,0.5")
