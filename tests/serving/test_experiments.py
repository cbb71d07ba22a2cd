"""What a running experiment does to slates, and what they remember of it."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.events.models import Exposure, Shopper
from apps.experiments.models import Experiment, Variant, VariantPublication
from apps.merchandising.models import Placement, Publication
from apps.merchandising.services import placement_create
from apps.serving.models import ListScope
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.publications import publication_preview
from apps.serving.remembering import exposure_remember, exposures_flush
from apps.serving.slate import Context, Slate, SlateRequest
from tests.factories.shop import shoppers_make
from tests.serving.experimenting import experiment_make, hiding, units_of
from tests.serving.shop import SKUS, catalogue_make, home_make, rules_publish, version_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> Placement:
    """Everybody gets p00, p01, …; als has them the other way round, for s1 alone."""
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS[:20]})
    own = shoppers_make("s1")["s1"]
    version_make("als", {(ListScope.SHOPPER_NEW, own.pk): SKUS[19::-1]})
    return home_make({"popular": 1.0})


def ask(shopper: str = "", n: int | None = 3, **fields: Any) -> Slate:
    return recommend(SlateRequest(placement="home", shopper=shopper or None, n=n, **fields))


def skus(slate: Slate) -> list[str]:
    return [item.sku for item in slate.items]


CONTROL, HIDDEN = ["p00", "p01", "p02"], ["p01", "p02", "p03"]


def two(**fields: Any) -> Experiment:
    """Half of the shoppers do not see p00."""
    return experiment_make(
        "hide", {"control": {"home": {}}, "b": {"home": {"rules": hiding("p00")}}}, **fields
    )


def test_each_unit_gets_its_variant_and_the_slate_says_which(home: Placement) -> None:
    experiment = two()
    units = units_of(experiment, 3)
    for name in units["control"]:
        slate = ask(name)
        assert (skus(slate), slate.experiment, slate.variant) == (CONTROL, "hide", "control")
        assert slate.publication_number == 1
    for name in units["b"]:
        slate = ask(name)
        assert (skus(slate), slate.experiment, slate.variant) == (HIDDEN, "hide", "b")
        assert slate.experiment_id == experiment.pk
        assert slate.publication_number == 2
    assert {ask(session=f"v{number}").variant for number in range(20)} == {"control", "b"}


def test_exposures_keep_experiment_variant_and_its_probability(home: Placement) -> None:
    experiment = two(traffic=0.5)
    units = units_of(experiment)
    known = shoppers_make(units["b"][0])[units["b"][0]]
    for name in (units["b"][0], units["control"][0], units[""][0]):
        exposure_remember(ask(name, session="v1"))
    exposures_flush()
    b, control, out = Exposure.objects.order_by("served_at")
    assert (b.experiment_id, b.variant, b.shopper_id) == (experiment.pk, "b", known.pk)
    assert b.context == {"share": 0.5}
    assert (control.variant, control.shopper_id) == ("control", None)
    assert control.context == {"share": 0.5, "unit": units["control"][0]}, "a stranger's id is nowhere else"
    assert (out.experiment_id, out.variant, out.context) == (None, "", None)
    assert set(b.propensities) == {1.0}
    phone = exposure_of(ask(units["b"][0], context=Context(device="mobile")))
    assert phone.context == {"share": 0.5, "device": "mobile"}


def test_control_stays_what_it_was_when_something_else_goes_live(home: Placement) -> None:
    units = units_of(two(traffic=0.5))
    rules_publish(home, *hiding("p00", "p01"))
    assert skus(ask(units["control"][0])) == CONTROL
    assert skus(ask(units["b"][0])) == HIDDEN
    assert skus(ask(units[""][0])) == ["p02", "p03", "p04"]


def test_weights_and_page_size_are_the_variants_unless_the_request_says_how_many(home: Placement) -> None:
    experiment = experiment_make(
        "sizes",
        {"control": {"home": {}}, "b": {"home": {"weights": {"als": 1.0}, "page_size": 5}}},
        shares={"control": 0.0, "b": 1.0},
    )
    assert skus(ask("s1", n=None)) == ["p19", "p18", "p17", "p16", "p15"]
    assert len(ask("s1", n=7).items) == 7
    VariantPublication.objects.update(page_size=9)  # as at the launch; the publication's own goes before it
    assert len(ask("s1", n=None).items) == 5
    Variant.objects.filter(code="b").update(share=0.0)
    Variant.objects.filter(code="control").update(share=1.0)
    Placement.objects.update(page_size=4)
    assert len(ask("s1", n=None).items) == 9
    Experiment.objects.filter(pk=experiment.pk).update(status="paused")
    assert len(ask("s1", n=None).items) == 4


@pytest.mark.parametrize("status", ["draft", "paused", "ended"])
def test_only_a_running_experiment_decides(home: Placement, status: str) -> None:
    experiment = two()
    name = units_of(experiment)["b"][0]
    assert ask(name).variant == "b"
    Experiment.objects.update(status=status, ended_at=clock.now())
    slate = ask(name)
    assert (skus(slate), slate.experiment_id, slate.experiment, slate.variant) == (CONTROL, None, "", "")
    Experiment.objects.update(status="running")
    assert ask(name).variant == "b"


def test_more_traffic_moves_nobody_and_shares_are_followed(home: Placement) -> None:
    experiment = two(traffic=0.3)
    names = [f"u{number}" for number in range(60)]
    before = {name: ask(name).variant for name in names}
    Experiment.objects.update(traffic=1.0)
    after = {name: ask(name).variant for name in names}
    assert set(after.values()) == {"control", "b"}
    assert all(after[name] == variant for name, variant in before.items() if variant)
    Variant.objects.filter(experiment=experiment, code="control").update(share=0.0)
    Variant.objects.filter(experiment=experiment, code="b").update(share=1.0)
    assert {ask(name).variant for name in names} == {"b"}


def test_who_wants_nothing_personal_is_in_no_experiment(home: Placement) -> None:
    name = units_of(two())["b"][0]
    for slate in (ask(name, personalised=False), ask("", session="")):
        assert (skus(slate), slate.experiment) == (CONTROL, "")
    assert ask(name).variant == "b"
    visit = next(visit for visit in map(str, range(100)) if ask("", session=visit).variant == "b")
    slate = ask("", session=visit, personalised=False)
    assert (skus(slate), slate.experiment) == (CONTROL, "")
    shoppers_make(name)
    Shopper.objects.update(opted_out=True)
    slate = ask(name, session="v1")
    assert (skus(slate), slate.experiment, exposure_of(slate).context) == (CONTROL, "", None)


def test_a_preview_wins_and_live_can_be_asked_for(home: Placement) -> None:
    name = units_of(two())["b"][0]
    preview = publication_preview(weights={"popular": 1.0}, rules=hiding("p00", "p01"))
    slate = recommend(SlateRequest("home", name, n=3), preview)
    assert (skus(slate), slate.experiment) == (["p02", "p03", "p04"], "")
    assert skus(ask(name, experiments=False)) == CONTROL


def test_slices_of_one_layer_exclude_each_other_and_other_placements_are_left_alone(home: Placement) -> None:
    for code, start in (("one", 0), ("two", 3_000)):
        arms: dict[str, Any] = {"control": {"home": {}}, "b": {"home": {"rules": hiding("p00")}}}
        experiment_make(code, arms, layer_from=start, layer_to=start + 3_000)
    decided = [ask(f"u{number}").experiment for number in range(80)]
    assert {"one", "two", ""} == set(decided)
    placement_create(code="spot", name="Spot", kind="shopper", weights={"popular": 1.0})
    assert recommend(SlateRequest("spot", "u1", n=3)).experiment == ""


@pytest.mark.parametrize(
    ("audience", "inside", "outside"),
    [
        ({"known": True}, {"shopper": "old"}, {"shopper": "stranger"}),
        ({"known": False}, {"shopper": "stranger"}, {"shopper": "old"}),
        ({"known": False}, {"session": "v1"}, {"shopper": "old", "session": "v1"}),
        ({"history": "returning"}, {"shopper": "old"}, {"session": "v1"}),
        ({"history": "new"}, {"session": "v1"}, {"shopper": "old"}),
        ({"regions": ["Kent"]}, {"shopper": "old"}, {"shopper": "shy"}),
        (
            {"regions": ["kent", "Essex"]},
            {"session": "v", "context": Context(region="ESSEX")},
            {"session": "v"},
        ),
        ({"devices": ["mobile"]}, {"session": "v", "context": Context(device="mobile")}, {"session": "v"}),
        ({"languages": ["zh"]}, {"session": "v", "language": "zh-hans"}, {"session": "v", "language": "en"}),
        ({"languages": ["en"], "devices": []}, {"session": "v", "language": "en"}, {"session": "v"}),
    ],
)
def test_an_audience_holds_whom_it_names(
    home: Placement, audience: dict[str, Any], inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    seen = [clock.now() - timedelta(days=9)]
    shoppers_make("old", consent=[True], region=["Kent"], first_seen=seen)
    shoppers_make("shy", consent=[False], region=["Kent"], first_seen=seen)
    two(audience={"known": None, "history": None, **audience})
    assert ask(**inside).experiment == "hide"
    assert ask(**outside).experiment == ""


def test_who_came_first_after_the_start_stays_new(home: Placement) -> None:
    two(audience={"history": "new"}, started_at=clock.now() - timedelta(days=20))
    shoppers_make("u1", first_seen=[clock.now() - timedelta(days=15)])
    assert ask("u1").experiment == "hide"


def test_variants_that_make_no_difference_count_only_where_they_do(home: Placement) -> None:
    name = units_of(two(triggered="different"))["control"][0]
    same = ask(name, exclude=("p00",))
    assert (skus(same), same.experiment) == (HIDDEN, "")
    assert ask(name).variant == "control"
    explained = [ask(name, exclude=gone, explain=True).trace or {} for gone in (("p00",), ())]
    assert explained[0]["experiment"] is None
    assert explained[1]["experiment"] == {"code": "hide", "variant": "control", "share": 0.5, "teams": ""}


def test_who_is_held_out_is_in_nothing_else(home: Placement) -> None:
    experiment_make(
        "held",
        {"held": {"home": {}}, "open": {}},
        kind="holdout",
        layer="holdout",
        shares={"held": 0.3, "open": 0.7},
    )
    two(traffic=0.5)
    rules_publish(home, *hiding("p00", "p01"))
    seen = {}
    for number in range(60):
        slate = ask(f"u{number}")
        exposure = exposure_of(slate)
        assert exposure.context is not None
        seen[slate.experiment, slate.variant, "holdout" in exposure.context] = skus(slate)
    assert seen == {
        ("held", "held", False): CONTROL,  # as it was when the holdout began
        ("held", "open", False): ["p02", "p03", "p04"],
        ("hide", "control", True): CONTROL,
        ("hide", "b", True): HIDDEN,
    }
    VariantPublication.objects.filter(variant__code="held").delete()  # as on a placement made since
    assert {ask(f"u{number}").variant for number in range(60)} == {"held", "open", "control", "b"}


def test_a_switchback_shows_the_whole_shop_one_variant_at_a_time(home: Placement) -> None:
    two(kind="switchback", slot_minutes=30)
    found = []
    for slot in range(8):
        moment = clock.now() + timedelta(minutes=30 * slot)
        slates = [ask(f"u{number}", now=moment) for number in range(4)]
        assert len({slate.variant for slate in slates}) == 1
        attribution = slates[0].attribution
        assert attribution is not None
        assert attribution.slot == int(moment.timestamp() // 1_800)
        found.append(slates[0].variant)
    assert set(found) == {"control", "b"}


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.ERROR):
        yield caplog


def test_an_experiment_whose_variant_cannot_be_read_leaves_everybody_what_is_live(
    home: Placement, messages: pytest.LogCaptureFixture
) -> None:
    name = units_of(two())["b"][0]
    half = {"placement": home, "number": 9, "weights": {}, "rules": [{"kind": 7}], "trial": True}
    broken = Publication.objects.create(published_at=clock.now(), **half)
    VariantPublication.objects.filter(variant__code="b").update(publication=broken)
    slate = ask(name)
    assert (skus(slate), slate.experiment) == (CONTROL, "")
    assert "experiment hide decides nothing on home: its b can't be read" in messages.text


def test_so_does_one_whose_audience_nobody_wrote(home: Placement, messages: pytest.LogCaptureFixture) -> None:
    two(audience={"history": "sometimes"})
    assert {ask(f"u{number}").experiment for number in range(10)} == {""}
    assert "experiment hide can't be read" in messages.text


def test_assignment_asks_nothing(home: Placement) -> None:
    experiment = two(traffic=0.5)
    units = units_of(experiment)
    counts = []
    for name in (units["b"][0], units["control"][0], units[""][0]):
        ask(name)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            ask(name)
        counts.append(len(asked))
    assert len(set(counts)) == 1
    Experiment.objects.update(status="paused")
    ask("u1")
    with CaptureQueriesContext(connection) as asked:
        ask("u1")
    assert len(asked) == counts[0], "nor does one that does not run cost anything"
