"""Two rankings in one slate: by team draft, as each was ruled, the same for a shopper all day."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from apps.core import clock
from apps.merchandising.models import Placement
from apps.serving.answers import answer_of
from apps.serving.decide import decide
from apps.serving.explain import why_not
from apps.serving.groups import playlist_recommend
from apps.serving.models import ListScope
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.slate import Slate, SlateRequest
from tests.factories.shop import shoppers_make
from tests.serving.experimenting import experiment_make
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

pytestmark = pytest.mark.django_db
A, B = SKUS[:10], SKUS[5:15][::-1]


@pytest.fixture
def home() -> Placement:
    catalogue_make()
    shoppers = shoppers_make(*(f"u{number}" for number in range(12)))
    keys = [(ListScope.SHOPPER_NEW, shopper.pk) for shopper in shoppers.values()]
    version_make("als", dict.fromkeys(keys, A))
    version_make("ease", dict.fromkeys(keys, B))
    return home_make({"als": 1.0, "ease": 0.0})


def interleave(**variant: Any) -> None:
    experiment_make(
        "mixed",
        {"control": {"home": {}}, "b": {"home": {"weights": {"ease": 1.0}, **variant}}},
        kind="interleaving",
    )


def ask(name: str = "u1", **fields: Any) -> Slate:
    return recommend(SlateRequest("home", name, n=6, **fields))


def teams(slate: Slate) -> str:
    assert slate.attribution is not None
    return slate.attribution.teams


def test_both_rankings_are_in_the_slate_and_the_exposure_says_whose_each_item_is(home: Placement) -> None:
    interleave()
    slate = ask()
    assert (slate.experiment, slate.variant) == ("mixed", "b")
    assert sorted(teams(slate)) == list("AAABBB")
    assert [item.position for item in slate.items] == [1, 2, 3, 4, 5, 6]
    for item, team in zip(slate.items, teams(slate), strict=True):
        assert item.sku in (A if team == "A" else B)
        assert item.source == ("als" if team == "A" else "ease")
    kept = exposure_of(slate)
    assert kept.context == {"share": 1.0, "teams": teams(slate)}
    assert kept.propensities == [item.propensity for item in slate.items]
    assert all(0 < chance <= 1 for chance in kept.propensities)
    assert min(kept.propensities) < 1
    assert len(kept.model_version_ids) == 2


def test_a_page_loaded_again_shows_the_same_and_others_see_other_mixtures(home: Placement) -> None:
    interleave()
    now = clock.now().replace(hour=1)
    later, tomorrow = now + timedelta(hours=20), [now + timedelta(days=day) for day in range(1, 9)]
    assert teams(ask(now=now)) == teams(ask(now=later))
    assert len({teams(ask(now=moment)) for moment in (now, *tomorrow)}) > 1
    assert len({teams(ask(f"u{number}", now=now)) for number in range(12)}) > 1


def test_the_bytes_say_the_same(home: Placement) -> None:
    interleave()
    decision = decide(SlateRequest("home", "u1", n=6))
    said = orjson.loads(answer_of(decision).content)
    slate = ask()
    assert [item["sku"] for item in said["items"]] == [item.sku for item in slate.items]
    assert said["experiment"] == {"code": "mixed", "variant": "b"}
    assert answer_of(decision).exposure.context == exposure_of(slate).context


def test_what_both_pin_stays_and_each_ranking_is_as_it_was_ruled(home: Placement) -> None:
    pin = {"id": "p", "kind": "pin", "position": 2, "target": {"type": "product", "skus": ["p29"]}}
    hide = {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p14"]}}
    arms: dict[str, Any] = {
        "control": {"home": {"rules": [pin]}},
        "b": {"home": {"weights": {"ease": 1.0}, "rules": [pin, hide]}},
    }
    experiment_make("mixed", arms, kind="interleaving")
    slate = ask()
    assert (slate.items[1].sku, teams(slate)[1], slate.items[1].propensity) == ("p29", "-", 1.0)
    assert "p14" not in [item.sku for item in slate.items]


def test_the_trace_shows_both(home: Placement) -> None:
    interleave()
    slate = ask(explain=True)
    trace = slate.trace
    assert trace is not None
    assert [entry["product_id"] for entry in trace["items"]] == [item.product_id for item in slate.items]
    assert "".join(entry["team"] for entry in trace["items"]) == teams(slate)
    assert trace["experiment"] == {"code": "mixed", "variant": "b", "share": 1.0, "teams": teams(slate)}
    assert [source["source"] for source in trace["other"]["sources"]] == ["ease"]
    answer = why_not(slate.items[3].sku, SlateRequest("home", "u1", n=6))
    assert (answer["shown"], answer["position"]) == (True, 4)


def test_items_put_in_another_order_take_their_team_along(home: Placement) -> None:
    interleave()
    slate = ask()
    of = dict(zip([item.sku for item in slate.items], teams(slate), strict=True))
    turned = playlist_recommend(SlateRequest("home", "u1", n=6), "category")
    assert [item.sku for item in turned.items] != list(of)
    assert teams(turned) == "".join(of[item.sku] for item in turned.items)


def test_of_several_variants_each_shopper_compares_one(home: Placement) -> None:
    arms = {name: {"home": {"weights": {"ease": 1.0}}} for name in ("b", "c")}
    experiment_make("mixed", {"control": {"home": {}}, **arms}, kind="interleaving")
    slates = [ask(f"u{number}") for number in range(12)]
    assert {slate.variant for slate in slates} == {"b", "c"}
    assert {slate.attribution.share for slate in slates if slate.attribution} == {0.5}
