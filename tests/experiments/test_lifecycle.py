"""Pausing, ramping, ending and deciding, and taking a decision back."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import AuditEntry, User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.experiments.models import Experiment, Readout
from apps.experiments.services import (
    experiment_create,
    experiment_decide,
    experiment_end,
    experiment_launch,
    experiment_pause,
    experiment_ramp,
    experiment_resume,
    experiment_traffic_set,
    experiment_undo,
    experiment_update,
    variants_set,
)
from apps.merchandising.models import Draft, Placement, Publication
from apps.merchandising.selectors import publication_history
from apps.merchandising.services import (
    draft_save,
    placement_archive,
    publication_publish,
    publication_return,
)
from tests.factories.experiments import (
    arms,
    blend,
    experiment_make,
    experiment_run,
    placement_make,
    purchases_make,
)
from tests.processes import process_start

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop(db: None) -> None:
    """Two placements, and a purchase."""
    placement_make("home", als=1.0)
    placement_make("cart", als=0.5)
    purchases_make()


def live(code: str = "home") -> Publication:
    """What is live on a placement."""
    found = Placement.objects.select_related("live_publication").get(code=code).live_publication
    assert found is not None
    return found


def publish(code: str, **weights: float) -> None:
    """Somebody publishes."""
    placement = Placement.objects.get(code=code)
    draft_save(placement=placement, revision=Draft.objects.get(placement=placement).revision, weights=weights)
    publication_publish(placement=placement)


def refused(call: Callable[..., Any], made: Experiment, **arguments: Any) -> InvalidInput:
    """The InvalidInput a call raises."""
    with pytest.raises(InvalidInput) as caught:
        call(actor=None, experiment_id=made.pk, **arguments)
    return caught.value


def conflict(call: Callable[..., Any], made: Experiment, **arguments: Any) -> str:
    """The Conflict a call raises."""
    with pytest.raises(Conflict) as caught:
        call(actor=None, experiment_id=made.pk, **arguments)
    return caught.value.message


def kinds(made: Experiment) -> list[str]:
    """What its log says, in order."""
    return [one.kind for one in made.log.order_by("id")]


# --- running ---


def test_a_pause_keeps_the_slice_and_resuming_goes_on(maya: User) -> None:
    made = experiment_run()
    assert experiment_pause(actor=maya, experiment_id=made.pk, note="Stock").status == "paused"
    with pytest.raises(InvalidInput, match="holds 0% to 100%"):
        experiment_launch(actor=None, experiment_id=_clashing(made).pk)
    again = experiment_resume(actor=maya, experiment_id=made.pk)
    assert (again.status, again.salt) == ("running", made.salt)
    assert kinds(made)[-2:] == ["paused", "resumed"]
    assert AuditEntry.objects.get(verb="experiment.pause").reason == "Stock"


def _clashing(made: Experiment) -> Experiment:
    other = experiment_make("cart")
    Experiment.objects.filter(pk=other.pk).update(layer_from=0, layer_to=10_000, layer=made.layer)
    return other


def test_each_state_allows_what_fits_it() -> None:
    draft = experiment_make()
    for call in (experiment_pause, experiment_resume, experiment_end, experiment_ramp, experiment_undo):
        assert draft.name in conflict(call, draft)
    assert draft.name in conflict(experiment_traffic_set, draft, traffic=1.0)
    assert "never launched" in conflict(experiment_decide, draft, decision="roll_back")
    made = experiment_run("cart")
    assert "paused" in conflict(experiment_resume, made)
    assert "not ended" in conflict(experiment_undo, made)
    experiment_end(actor=None, experiment_id=made.pk)
    for call in (experiment_pause, experiment_resume, experiment_end):
        assert "ended" in conflict(call, made)


def test_an_end_that_came_while_paused_has_to_be_moved_first() -> None:
    made = experiment_run()
    experiment_pause(actor=None, experiment_id=made.pk)
    Experiment.objects.filter(pk=made.pk).update(ends_at=clock.now() - timedelta(minutes=1))
    assert refused(experiment_resume, made).field == "ends_at"
    experiment_update(actor=None, experiment_id=made.pk, fields={"ends_at": clock.now() + timedelta(days=1)})
    assert experiment_resume(actor=None, experiment_id=made.pk).status == "running"


def test_traffic_only_rises_and_the_ramp_goes_on_above_it() -> None:
    made = experiment_run(ramp=[0.01, 0.05, 0.1, 0.25, 0.5, 1.0])
    assert experiment_ramp(actor=None, experiment_id=made.pk, step=0).traffic == 0.05
    assert "already" in conflict(experiment_ramp, made, step=0)
    assert refused(experiment_traffic_set, made, traffic=0.01).field == "traffic"
    assert refused(experiment_update, made, fields={"traffic": 0.02}).field == "traffic"
    moved = experiment_update(actor=None, experiment_id=made.pk, fields={"traffic": 0.3})
    assert (moved.traffic, moved.ramp_step) == (0.3, 3)
    assert experiment_ramp(actor=None, experiment_id=made.pk).traffic == 0.5
    assert experiment_ramp(actor=None, experiment_id=made.pk).traffic == 1.0
    assert "through" in conflict(experiment_ramp, made)
    steps = [one.details["traffic"] for one in made.log.filter(kind="ramped").order_by("id")]
    assert steps == [0.05, 0.3, 0.5, 1.0]


def test_an_ended_one_gives_its_slice_back() -> None:
    made = experiment_run()
    other = _clashing(made)
    experiment_end(actor=None, experiment_id=made.pk, note="Sale begins")
    assert experiment_launch(actor=None, experiment_id=other.pk).status == "running"


# --- deciding ---


def test_shipping_publishes_a_copy_that_names_the_experiment(maya: User) -> None:
    made = experiment_make("home", "cart")
    variants = arms()
    variants[1]["blends"] = {"home": blend(page_size=24)}
    variants_set(actor=None, experiment_id=made.pk, variants=variants)
    experiment_launch(actor=None, experiment_id=made.pk)
    cart = live("cart")
    done = experiment_decide(
        actor=maya, experiment_id=made.pk, decision="ship", variant="b", note="Clear win"
    )
    assert (done.status, done.decision, done.winner, done.decided_by) == ("ended", "ship", "b", maya)
    shipped = live("home")
    assert (shipped.number, shipped.trial, shipped.weights, shipped.published_by) == (
        4, False, {"ease": 1.0}, maya,
    )  # fmt: skip
    assert made.name in shipped.note
    assert "Clear win" in shipped.note
    assert Placement.objects.get(code="home").page_size == 24
    assert live("cart") == cart, "where the winner shows what is live, nothing is published"
    assert done.decision_reason["published"] == {
        "home": {"before": 1, "after": 4, "page_size_before": 12, "page_size_after": 24}
    }
    assert kinds(made)[-1] == "shipped"
    assert "decided already" in conflict(experiment_decide, made, decision="roll_back")
    draft = Draft.objects.get(placement__code="home")
    assert draft.weights == {"ease": 1.0}, "a draft without unpublished work follows"


def test_rolling_back_and_keeping_control_leave_what_is_live() -> None:
    first, second = experiment_run("home", layer_to=5_000), experiment_run("cart")
    before = (live("home"), live("cart"))
    rolled = experiment_decide(actor=None, experiment_id=first.pk, decision="roll_back")
    kept = experiment_decide(actor=None, experiment_id=second.pk, decision="keep_control")
    assert (rolled.winner, kept.winner) == ("", "control")
    assert (live("home"), live("cart")) == before
    assert (kinds(first)[-1], kinds(second)[-1]) == ("rolled_back", "kept_control")


def test_what_can_not_be_decided_is_refused_at_its_field() -> None:
    made = experiment_run()
    assert refused(experiment_decide, made, decision="guess").field == "decision"
    for code in (None, "control", "z"):
        assert refused(experiment_decide, made, decision="ship", variant=code).field == "variant"
    hold = experiment_create(actor=None, fields={"code": "hold", "name": "Hold", "kind": "holdout"})
    experiment_launch(actor=None, experiment_id=hold.pk)
    assert refused(experiment_decide, hold, decision="ship", variant="everyone").field == "decision"
    placement_archive(placement=Placement.objects.get(code="home"))
    assert "archived" in conflict(experiment_decide, made, decision="ship", variant="b")
    made.refresh_from_db()
    assert made.status == "running"


@pytest.mark.parametrize(
    "analysis",
    [
        {"srm": {"alarm": "blocked"}, "verdict": {}},
        {"srm": {"alarm": "none"}, "verdict": {"action": "blocked", "variant": ""}},
    ],
    ids=["of all units", "within a segment"],
)
def test_a_broken_sample_ratio_ships_nothing_but_by_force_with_a_reason(analysis: dict[str, Any]) -> None:
    made = experiment_run()
    Readout.objects.create(experiment=made, computed_at=clock.now(), analysis=analysis)
    assert "Health" in conflict(experiment_decide, made, decision="ship", variant="b")
    assert live("home").number == 1
    assert refused(experiment_decide, made, decision="ship", variant="b", force=True).field == "note"
    done = experiment_decide(
        actor=None, experiment_id=made.pk, decision="ship", variant="b", note="Bots, counted", force=True
    )
    assert (done.decision_reason["forced"], live("home").number) == (True, 3)


def test_a_decision_may_come_after_the_end() -> None:
    made = experiment_run()
    ended = experiment_end(actor=None, experiment_id=made.pk)
    done = experiment_decide(actor=None, experiment_id=made.pk, decision="ship", variant="b")
    assert (done.ended_at, live("home").number) == (ended.ended_at, 3)


def test_a_trial_is_never_returned_to_by_itself() -> None:
    experiment_make()
    home = Placement.objects.get(code="home")
    with pytest.raises(Conflict, match="made for an experiment"):
        publication_return(placement=home, number=2)


# --- taking it back ---


def test_undoing_a_ship_returns_to_what_was_live(maya: User) -> None:
    made = experiment_make()
    variants_set(actor=None, experiment_id=made.pk, variants=arms(page_size=24))
    experiment_launch(actor=None, experiment_id=made.pk)
    experiment_decide(actor=maya, experiment_id=made.pk, decision="ship", variant="b")
    back = experiment_undo(actor=maya, experiment_id=made.pk, note="Wrong one")
    assert (back.status, back.decision, back.winner, back.decision_reason) == ("paused", "", "", {})
    numbers = [(one.number, one.weights) for one in publication_history(placement=made.placements.get())]
    assert numbers[0] == (5, {"als": 1.0})
    assert Placement.objects.get(code="home").page_size == 12
    assert experiment_resume(actor=maya, experiment_id=made.pk).status == "running"
    assert kinds(made)[-2:] == ["undone", "resumed"]


def test_undoing_leaves_alone_what_somebody_published_since() -> None:
    made = experiment_run()
    experiment_decide(actor=None, experiment_id=made.pk, decision="ship", variant="b")
    publish("home", als=0.2)
    assert "Somebody published" in conflict(experiment_undo, made)
    made.refresh_from_db()
    assert (made.decision, live("home").weights) == ("ship", {"als": 0.2})


def test_an_undone_end_stays_ended_when_its_slice_is_taken() -> None:
    made = experiment_run()
    other = _clashing(made)
    experiment_end(actor=None, experiment_id=made.pk)
    experiment_launch(actor=None, experiment_id=other.pk)
    assert experiment_undo(actor=None, experiment_id=made.pk).status == "ended"
    experiment_end(actor=None, experiment_id=other.pk)
    assert experiment_undo(actor=None, experiment_id=made.pk).status == "paused"


# --- a death in the middle ---

SHIP = """
import django; django.setup()
from apps.experiments.services import experiment_decide
experiment_decide(actor=None, experiment_id={pk}, decision="ship", variant="b")
"""


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_process_killed_in_the_middle_of_a_ship_leaves_nothing_half_done(tmp_path: Path) -> None:
    """It publishes on the first placement and dies where a lock holds it: writing the experiment's log."""
    made = experiment_run("home", "cart")
    before = Publication.objects.count()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE experiments_experimentevent IN ACCESS EXCLUSIVE MODE")
        child = process_start(["-c", SHIP.format(pk=made.pk)], tmp_path / "ship.log")
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone()

        def is_held() -> bool:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # who is there is looked up once otherwise
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))", [own]
            )
            return bool(cursor.fetchone()[0])

        child.wait_until("the ship held by the lock", is_held)
        child.kill()
    assert Publication.objects.count() == before
    made.refresh_from_db()
    assert (made.status, made.decision, live("home").number) == ("running", "", 1)
    experiment_decide(actor=None, experiment_id=made.pk, decision="ship", variant="b")
    assert (live("home").number, live("cart").number) == (3, 3)
