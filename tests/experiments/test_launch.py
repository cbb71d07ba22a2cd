"""What is looked at before a launch, and what a launch refuses and freezes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import IntegrityError, connections, transaction

from apps.accounts.models import AuditEntry, User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, RecoPortalError
from apps.experiments.checks import CHECK_TEXTS, LaunchCheck
from apps.experiments.launch import checks_design, watched_now
from apps.experiments.layers import layer_create, layer_main, slice_find, slices_free
from apps.experiments.models import Experiment, Layer, Variant, VariantPublication
from apps.experiments.selectors import experiments_touching, publications_moved
from apps.experiments.services import (
    experiment_create,
    experiment_end,
    experiment_launch,
    experiment_update,
    variants_set,
)
from apps.merchandising.models import Draft, Placement
from apps.merchandising.services import (
    draft_save,
    placement_archive,
    placement_update,
    publication_publish,
)
from tests.factories.experiments import (
    arms,
    blend,
    experiment_make,
    experiment_run,
    placement_make,
    purchases_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop(db: None) -> None:
    """Two placements, and a purchase."""
    placement_make("home", als=1.0)
    placement_make("cart", als=0.5)
    purchases_make()


def publish(code: str, **weights: float) -> None:
    """Something else goes live."""
    placement = Placement.objects.get(code=code)
    draft_save(placement=placement, revision=Draft.objects.get(placement=placement).revision, weights=weights)
    publication_publish(placement=placement)


def check_of(made: Experiment, code: str) -> LaunchCheck | None:
    """The check of this code, None when it was not found."""
    return next((one for one in checks_design(made) if one.code == code), None)


def stop_of(made: Experiment) -> InvalidInput:
    """Why it can't be launched."""
    with pytest.raises(InvalidInput) as caught:
        experiment_launch(actor=None, experiment_id=made.pk)
    made.refresh_from_db()
    assert made.status == "draft"
    return caught.value


def test_every_check_has_a_text_that_its_figures_fill() -> None:
    made = experiment_make(guardrails=[{"metric": "aov", "margin": 0.02}])
    for one in checks_design(made):
        assert one.text
        assert one.level in ("ok", "warn", "stop")
    assert {one.code for one in checks_design(made)} <= set(CHECK_TEXTS)


def test_a_launch_freezes_control_and_page_sizes_and_is_told(maya: User) -> None:
    made = experiment_make(ramp=[0.01, 0.5, 1.0])
    publish("home", als=0.3)
    assert check_of(made, "live_moved") is not None
    live = Placement.objects.get(code="home").live_publication
    launched = experiment_launch(actor=maya, experiment_id=made.pk)
    rows = {
        row.variant.code: row
        for row in VariantPublication.objects.filter(variant__experiment=made).select_related("variant")
    }
    assert (launched.status, launched.traffic, launched.ramp_step) == ("running", 0.01, 0)
    assert rows["control"].publication == live
    assert rows["control"].page_size == rows["b"].page_size == 12
    entry = made.log.get(kind="launched")
    assert entry.actor == maya
    assert entry.details["shares"] == {"control": 0.5, "b": 0.5}
    assert entry.details["publications"] == {
        "control": {"home": live.number if live else 0},
        "b": {"home": 2},
    }
    assert AuditEntry.objects.filter(verb="experiment.launch", actor=maya).exists()
    publish("home", ease=0.3)
    placement_update(placement=Placement.objects.get(code="home"), page_size=30)
    rows["control"].refresh_from_db()
    assert (rows["control"].publication, rows["control"].page_size) == (live, 12)
    assert [place.code for place, _was, _is in publications_moved(experiment=made)] == ["home"]
    assert experiments_touching(Placement.objects.get(code="home")) == [made]
    assert experiments_touching(Placement.objects.get(code="cart")) == []


def test_a_variant_without_a_change_somewhere_follows_control_there() -> None:
    made = experiment_make("home", "cart")
    variants = arms()
    variants[1]["blends"] = {"home": blend()}
    variants_set(actor=None, experiment_id=made.pk, variants=variants)
    publish("cart", als=0.9)
    experiment_launch(actor=None, experiment_id=made.pk)
    shown = VariantPublication.objects.filter(variant__experiment=made, placement__code="cart")
    live = Placement.objects.get(code="cart").live_publication_id
    assert set(shown.values_list("publication_id", flat=True)) == {live}


# --- refusals ---


def test_a_variant_that_equals_live_by_now_is_refused() -> None:
    made = experiment_make()
    publish("home", ease=1.0)
    found = stop_of(made)
    assert (found.field, "shows the same" in found.remedy) == ("variants.b.blends", True)


def test_overlapping_slices_of_one_layer_are_refused() -> None:
    experiment_run("home", layer_from=2_000, layer_to=6_000)
    other = experiment_make("cart")
    Experiment.objects.filter(pk=other.pk).update(layer_from=5_000, layer_to=9_000)
    other.refresh_from_db()
    found = stop_of(other)
    assert (found.field, "0% to 20%, 60% to 100%" in found.remedy) == ("layer_from", True)
    with pytest.raises(InvalidInput) as caught:
        experiment_update(actor=None, experiment_id=other.pk, fields={"layer_from": 0, "layer_to": 2_001})
    assert caught.value.field == "layer_from"
    experiment_update(actor=None, experiment_id=other.pk, fields={"layer_from": 6_000, "layer_to": 10_000})
    assert experiment_launch(actor=None, experiment_id=other.pk).status == "running"


def test_two_on_one_placement_share_a_layer() -> None:
    experiment_run(layer_from=0, layer_to=5_000)
    layer_create(code="other", name="Other")
    made = experiment_make("home")
    with pytest.raises(InvalidInput) as caught:
        experiment_update(actor=None, experiment_id=made.pk, fields={"layer": "other"})
    assert caught.value.field == "layer"
    Experiment.objects.filter(pk=made.pk).update(layer=Layer.objects.get(code="other"))
    assert stop_of(made).field == "layer"
    moved = {"layer": "main", "layer_from": 5_000, "layer_to": 10_000}
    experiment_update(actor=None, experiment_id=made.pk, fields=moved)
    assert experiment_launch(actor=None, experiment_id=made.pk).status == "running"


def test_a_switchback_has_its_placement_alone() -> None:
    experiment_run("home", layer_from=0, layer_to=5_000)
    layer_create(code="clock", name="Clock")
    made = experiment_make("cart", kind="switchback", layer="clock")
    experiment_update(actor=None, experiment_id=made.pk, fields={"placements": ["home"]})
    variants_set(actor=None, experiment_id=made.pk, variants=arms())
    assert stop_of(made).field == "placements"
    with pytest.raises(InvalidInput) as caught:
        experiment_update(actor=None, experiment_id=made.pk, fields={"traffic": 0.5})
    assert caught.value.field == "traffic"


def test_there_is_one_holdout_and_it_is_over_every_placement() -> None:
    first = experiment_create(actor=None, fields={"code": "hold", "name": "Hold", "kind": "holdout"})
    experiment_launch(actor=None, experiment_id=first.pk)
    shown = VariantPublication.objects.filter(variant__experiment=first).select_related(
        "variant", "placement"
    )
    assert {(row.variant.code, row.placement.code) for row in shown} == {
        ("holdout", "home"),
        ("holdout", "cart"),
    }
    assert experiment_run("home").status == "running", "a holdout is in nobody's way"
    second = experiment_create(actor=None, fields={"code": "hold2", "name": "Hold", "kind": "holdout"})
    assert stop_of(second).field == "kind"
    experiment_end(actor=None, experiment_id=first.pk)
    assert experiment_launch(actor=None, experiment_id=second.pk).status == "running"


def test_a_primary_metric_nobody_feeds_any_more_stops_the_launch() -> None:
    made = experiment_make()
    Experiment.objects.filter(pk=made.pk).update(primary="return_rate", secondary=["ctr"])
    made.refresh_from_db()
    assert stop_of(made).field == "primary"
    unfed = check_of(made, "metric_unfed")
    assert unfed is not None
    assert (unfed.level, unfed.params["metric"]) == ("warn", "ctr")
    Experiment.objects.filter(pk=made.pk).update(primary="gone")
    assert stop_of(made).field == "primary"


def test_shares_that_do_not_sum_and_missing_parts_stop_the_launch() -> None:
    made = experiment_make()
    Variant.objects.filter(experiment=made, code="b").update(share=0.4)
    assert stop_of(made).field == "share"
    Variant.objects.filter(experiment=made, code="b").update(share=0.5)
    VariantPublication.objects.filter(variant__experiment=made, variant__code="b").delete()
    assert stop_of(made).field == "variants.b.blends"
    empty = experiment_create(actor=None, fields={"code": "empty", "name": "E", "kind": "interleaving"})
    assert stop_of(empty).field == "placements"


def test_an_end_that_is_over_an_archived_placement_and_a_source_that_is_gone_stop_the_launch() -> None:
    made = experiment_make()
    Experiment.objects.filter(pk=made.pk).update(ends_at=clock.now() - timedelta(hours=1))
    assert stop_of(made).field == "ends_at"
    Experiment.objects.filter(pk=made.pk).update(ends_at=None)
    placement_archive(placement=Placement.objects.get(code="home"))
    assert stop_of(made).field == "placements"


def test_what_does_not_stop_is_said() -> None:
    made = experiment_make(
        hypothesis="", planned_days=10, view="fixed", auto_ship=True, min_days=7,
        ends_at=clock.now() + timedelta(days=3),
    )  # fmt: skip
    found = {one.code: one.level for one in checks_design(made)}
    for code in (
        "hypothesis_none",
        "weeks_broken",
        "fixed_peeking",
        "auto_ship",
        "guardrails_none",
        "end_early",
    ):
        assert found[code] == "warn", code
    cache.clear()
    assert check_of(made, "watch_silent") is not None
    watched_now(clock.now())
    assert check_of(made, "watch") is not None


# --- slices ---


def test_free_slices_are_found_where_they_fit_best() -> None:
    experiment_run("home", layer_from=1_000, layer_to=4_000)
    experiment_run("cart", layer_from=6_000, layer_to=9_500)
    layer = layer_main()
    assert slices_free(layer) == [(0, 1_000), (4_000, 6_000), (9_500, 10_000)]
    assert slice_find(layer, 500) == (9_500, 10_000)
    assert slice_find(layer, 800) == (0, 800)
    assert slice_find(layer, 3_000) == (4_000, 6_000)
    made = experiment_create(actor=None, fields={"code": "next", "name": "Next"})
    assert (made.layer_from, made.layer_to) == (4_000, 6_000)


# --- two people at once ---


@contextmanager
def own_connection() -> Iterator[None]:
    """Close what a thread opened."""
    try:
        yield
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_who_launch_at_once_one_is_told() -> None:
    first, second = experiment_make("home"), experiment_make("cart")
    outcomes: list[str] = []
    start = threading.Barrier(3)

    def launch(pk: int) -> None:
        with own_connection():
            start.wait()
            try:
                outcomes.append(experiment_launch(actor=None, experiment_id=pk).status)
            except RecoPortalError as error:
                outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=launch, args=[pk]) for pk in (first.pk, second.pk, first.pk)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    refused = {"InvalidInput", "Conflict"}
    assert outcomes.count("running") == 1
    assert {one for one in outcomes if one != "running"} <= refused
    assert Experiment.objects.filter(status="running").count() == 1


def test_launching_twice_is_a_conflict() -> None:
    made = experiment_run()
    with pytest.raises(Conflict, match="already"):
        experiment_launch(actor=None, experiment_id=made.pk)


def test_the_database_holds_what_services_promise() -> None:
    made = experiment_make()
    wrong: list[dict[str, Any]] = [
        {"layer_from": 9_000, "layer_to": 8_000},
        {"layer_to": 10_001},
        {"traffic": 1.5},
        {"status": "running"},
    ]
    for change in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            Experiment.objects.filter(pk=made.pk).update(**change)
