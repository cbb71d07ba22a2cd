"""What staff do with an experiment, seen in slates: launched, paused, shipped, rolled back, held out."""

from collections import Counter

import pytest

from apps.experiments.models import Experiment, Variant
from apps.experiments.services import (
    experiment_create,
    experiment_decide,
    experiment_launch,
    experiment_pause,
    experiment_resume,
    experiment_traffic_set,
)
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest
from tests.factories.experiments import experiment_make, experiment_run, placement_make
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import SKUS, catalogue_make, version_make

pytestmark = pytest.mark.django_db
NAMES = [f"u{number}" for number in range(30)]
LIVE, OTHER = SKUS[:10], SKUS[10:20]


@pytest.fixture(autouse=True)
def shop() -> None:
    """Als says one half of the catalogue, ease the other; als is live."""
    catalogue_make()
    shoppers = shoppers_make(*NAMES)
    keys = [(ListScope.SHOPPER_NEW, shopper.pk) for shopper in shoppers.values()]
    version_make("als", dict.fromkeys(keys, LIVE))
    version_make("ease", dict.fromkeys(keys, OTHER))
    placement_make("home", als=1.0)
    events_record(event("view", shopper="buyer", sku="p29"), event("purchase", shopper="buyer", sku="p29"))


def seen() -> Counter[tuple[str, str]]:
    """How many shoppers have which variant and first product."""
    slates = [recommend(SlateRequest("home", name, n=3)) for name in NAMES]
    return Counter((slate.variant, slate.items[0].sku) for slate in slates)


def test_from_launch_to_shipping() -> None:
    plain = {("", LIVE[0]): len(NAMES)}
    draft = experiment_make()
    assert seen() == plain
    experiment_launch(actor=None, experiment_id=draft.pk)
    running = seen()
    assert set(running) == {("control", LIVE[0]), ("b", OTHER[0])}
    experiment_pause(actor=None, experiment_id=draft.pk)
    assert seen() == plain
    experiment_resume(actor=None, experiment_id=draft.pk)
    assert seen() == running
    experiment_decide(actor=None, experiment_id=draft.pk, decision="ship", variant="b")
    assert seen() == {("", OTHER[0]): len(NAMES)}


def test_a_ramp_adds_shoppers_and_a_roll_back_takes_all_out() -> None:
    made = experiment_run(traffic=0.2)
    few = seen()
    assert few["", LIVE[0]] > len(NAMES) / 2
    experiment_traffic_set(actor=None, experiment_id=made.pk, traffic=1.0)
    many = seen()
    assert many["b", OTHER[0]] > few["b", OTHER[0]]
    assert not many["", LIVE[0]]
    experiment_decide(actor=None, experiment_id=made.pk, decision="roll_back")
    assert seen() == {("", LIVE[0]): len(NAMES)}


def test_a_holdout_keeps_what_was_live_and_is_in_nothing_else() -> None:
    fields = {
        "code": "held",
        "name": "Held",
        "kind": "holdout",
        "hypothesis": "All of it together sells more.",
    }
    holdout = experiment_create(actor=None, fields=fields)
    for code, share in (("holdout", 0.5), ("everyone", 0.5)):
        Variant.objects.filter(experiment=holdout, code=code).update(share=share)
    experiment_launch(actor=None, experiment_id=holdout.pk)
    made = experiment_run()
    both = seen()
    assert set(both) == {("holdout", LIVE[0]), ("control", LIVE[0]), ("b", OTHER[0])}
    experiment_decide(actor=None, experiment_id=made.pk, decision="ship", variant="b")
    shipped = seen()
    assert set(shipped) == {("holdout", LIVE[0]), ("everyone", OTHER[0])}
    assert shipped["holdout", LIVE[0]] == both["holdout", LIVE[0]]
    assert Experiment.objects.get(pk=holdout.pk).status == "running"


@pytest.mark.parametrize("kind", ["bandit", "interleaving", "switchback"])
def test_every_kind_decides_slates_once_launched(kind: str) -> None:
    experiment_run(kind=kind)
    firsts = {sku for _, sku in seen()}
    assert {variant for variant, _ in seen()} <= {"control", "b"}
    assert firsts <= {LIVE[0], OTHER[0]}
    assert len(firsts) == (1 if kind == "switchback" else 2)
