"""What every slate keeps to, on a real database: rules, exclusions, freshness, few queries, traces."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.catalog.models import Product
from apps.core import clock
from apps.core.errors import InvalidInput, NotFound
from apps.events.models import Dislike, Shopper
from apps.merchandising.models import Placement
from apps.merchandising.services import draft_save, placement_archive, publication_publish
from apps.serving import memory
from apps.serving.explain import why_not
from apps.serving.live import publication_preview
from apps.serving.models import ListScope
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.slate import Slate, SlateRequest
from tests.factories.shop import event, events_record, products_make, shoppers_make
from tests.serving.shop import catalogue_make, home_make, rules_publish, version_make

pytestmark = pytest.mark.django_db
PRODUCT = "product"


@pytest.fixture
def ids() -> dict[str, int]:
    return catalogue_make()


@pytest.fixture
def shopper() -> Shopper:
    return shoppers_make("s1")["s1"]


@pytest.fixture
def home(ids: dict[str, int], shopper: Shopper) -> Placement:
    skus = [f"p{n:02}" for n in range(20)]
    version_make(
        "als", {(ListScope.SHOPPER_NEW, shopper.pk): skus, (ListScope.SHOPPER_ALL, shopper.pk): skus}
    )
    version_make("ease", {(ListScope.SHOPPER_NEW, shopper.pk): skus[5:15]})
    version_make("popular", {(ListScope.EVERYONE, 0): skus[::-1]})
    return home_make({"als": 1.0, "ease": 0.0})


def ask(n: int = 5, **fields: Any) -> Slate:
    return recommend(SlateRequest(placement="home", shopper="s1", n=n, **fields))


def skus(slate: Slate) -> list[str]:
    return [item.sku for item in slate.items]


def pin(sku: str, position: int) -> dict[str, Any]:
    return {"id": f"pin-{sku}", "kind": "pin", "position": position, "target": _product(sku)}


def _product(*skus: str) -> dict[str, Any]:
    return {"type": "product", "skus": list(skus)}


def hide(*skus: str) -> dict[str, Any]:
    return {"id": "hide", "kind": "hide", "target": _product(*skus)}


@pytest.mark.usefixtures("home")
def test_no_slate_costs_more_than_two_queries(monkeypatch: pytest.MonkeyPatch, ids: dict[str, int]) -> None:
    ask()
    monkeypatch.setattr(memory, "REFRESH_SECONDS", 60.0)
    for n in (1, 5, 100):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            ask(n)
        assert len(queries) == 2
    with CaptureQueriesContext(connection) as queries:
        recommend(SlateRequest(placement="home", n=5))
    assert len(queries) == 0, "a stranger's slate is in memory"
    monkeypatch.setattr(memory, "LISTS_SECONDS", 60.0)
    monkeypatch.setattr(memory, "NO_LIST_SECONDS", 60.0)
    shoppers_make("s2")
    events_record(event("view", shopper="s2", sku="p01"))
    version_make("als", {(ListScope.ITEM, ids["p01"]): ["p03"]})
    asked = SlateRequest(placement="home", shopper="s2", n=5)
    monkeypatch.setattr(memory, "REFRESH_SECONDS", 0.0)
    recommend(asked)  # which also plans the queries of this connection
    memory.memory_current()._lists.clear()
    monkeypatch.setattr(memory, "REFRESH_SECONDS", 60.0)
    with CaptureQueriesContext(connection) as queries:
        slate = recommend(asked)
    assert (slate.rung, len(queries)) == ("session", 2)


@pytest.mark.usefixtures("home")
def test_lists_are_found_by_their_primary_key() -> None:
    ask()
    with CaptureQueriesContext(connection) as queries:
        ask()
    read = next(query["sql"] for query in queries if "EXECUTE slate_lists" in query["sql"])
    with connection.cursor() as cursor:
        # A connection that asked often keeps a plan made before.
        cursor.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        for other_way in ("seqscan", "hashjoin", "mergejoin"):  # what a handful of rows would be read by
            cursor.execute(f"SET LOCAL enable_{other_way} = off")
        cursor.execute("EXPLAIN " + read)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "serving_candidatelist_pkey" in plan


def test_published_rules_hold_on_the_next_slate(home: Placement) -> None:
    assert skus(ask()) == ["p00", "p01", "p02", "p03", "p04"]
    rules_publish(home, pin("p29", 2), hide("p00"))
    slate = ask()
    assert skus(slate) == ["p01", "p29", "p02", "p03", "p04"]
    assert (slate.items[1].source, slate.items[1].badges[0]) == ("rule", "pinned")
    assert slate.publication_number == 2


def test_published_weights_hold_on_the_next_slate(home: Placement) -> None:
    ask()
    draft = draft_save(placement=home, revision=0, weights={"ease": 1.0})
    assert skus(ask())[0] == "p00"
    publication_publish(placement=home, revision=draft.revision)
    assert skus(ask()) == ["p05", "p06", "p07", "p08", "p09"]


@pytest.mark.usefixtures("home")
def test_a_preview_touches_nothing() -> None:
    preview = publication_preview(weights={"ease": 1.0}, rules=[pin("p25", 1)])
    slate = recommend(SlateRequest(placement="home", shopper="s1", n=3), preview)
    assert skus(slate) == ["p25", "p05", "p06"]
    assert slate.publication_id is None
    assert skus(ask())[0] == "p00"
    with pytest.raises(InvalidInput):
        publication_preview(weights={"ease": 1.0}, rules=[{"id": "x", "kind": "sing"}])


@pytest.mark.usefixtures("home")
def test_a_dislike_holds_on_the_very_next_slate(shopper: Shopper, ids: dict[str, int]) -> None:
    assert "p01" in skus(ask())
    events_record(event("not_interested", shopper="s1", sku="p01"))
    assert Dislike.objects.filter(shopper=shopper, product_id=ids["p01"]).exists()
    assert "p01" not in skus(ask())


def minutes_ago(n: int) -> str:
    return (clock.now() - timedelta(minutes=n)).isoformat()


def visitor(n: int = 30) -> list[str]:
    return skus(recommend(SlateRequest(placement="home", session="v9", n=n)))


@pytest.mark.usefixtures("home")
def test_an_anonymous_dislike_holds_until_a_later_like() -> None:
    stranger = {"shopper": "", "session": "v9", "sku": "p01"}
    events_record(event("like", **stranger, occurred_at=minutes_ago(50)))
    assert "p01" in visitor()
    events_record(event("dislike", **stranger, occurred_at=minutes_ago(40)))
    assert "p01" not in visitor()
    events_record(event("view", **stranger, occurred_at=minutes_ago(30)))
    assert "p01" not in visitor(), "a look takes nothing back"
    events_record(event("like", **stranger, occurred_at=minutes_ago(20)))
    assert "p01" in visitor()


@pytest.mark.usefixtures("home")
def test_what_a_visitor_disliked_before_logging_in_stays_away() -> None:
    events_record(
        event("dislike", shopper="", session="v9", sku="p01", occurred_at=minutes_ago(40)),
        event("dislike", shopper="", session="other", sku="p02", occurred_at=minutes_ago(40)),
    )
    assert "p01" not in skus(ask(30, session="v9"))
    assert {"p01", "p02"} <= set(skus(ask(30))), "another visit"
    assert "p02" in skus(ask(30, session="v9"))
    events_record(event("like", shopper="s1", session="v9", sku="p01", occurred_at=minutes_ago(10)))
    assert "p01" in skus(ask(30, session="v9"))


@pytest.mark.usefixtures("home")
def test_variants_of_what_is_disliked_go_too() -> None:
    Product.objects.filter(sku__in=["p01", "p03"]).update(group_key="g", updated_at=clock.now())
    events_record(event("not_interested", shopper="s1", sku="p01"))
    assert not {"p01", "p03"} & set(skus(ask(20)))


def test_what_was_bought_since_the_lists_were_built_is_left_out_unless_the_placement_repeats(
    home: Placement,
) -> None:
    events_record(event("purchase", shopper="s1", sku="p00"))
    assert "p00" not in skus(ask(30)), "neither by a list nor by fill"
    Placement.objects.filter(pk=home.pk).update(repeat_purchases=True)
    assert skus(ask())[0] == "p00"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "change",
    [
        {"stock": 0},
        {"available_until": "2020-01-01T00:00:00Z"},
        {"available_from": "2099-01-01T00:00:00Z"},
        {"placeholder": True},
    ],
)
def test_what_can_not_be_sold_is_gone_from_the_next_slate(change: dict[str, Any]) -> None:
    assert skus(ask())[0] == "p00"
    Product.objects.filter(sku="p00").update(**change, updated_at=clock.now())
    assert "p00" not in skus(ask(30))


@pytest.mark.usefixtures("home")
def test_a_price_change_is_in_the_next_slate_and_so_is_a_title_in_another_language() -> None:
    ask()
    products_make("p00", price=[12.5], title_zh_hans=["红杯"])
    item = ask(1, language="zh-hans").items[0]
    assert (item.price, item.title) == (12.5, "红杯")
    assert ask().items[0].title == "Product p00"


@pytest.mark.usefixtures("home")
def test_a_slate_of_another_day_follows_that_days_schedule(home: Placement) -> None:
    now = clock.now()
    later = {**pin("p25", 1), "start": (now + timedelta(days=2)).isoformat()}
    rules_publish(home, later)
    assert skus(ask())[0] == "p00"
    assert skus(ask(now=now + timedelta(days=3)))[0] == "p25"


@pytest.mark.usefixtures("home")
def test_wrong_questions_are_named() -> None:
    with pytest.raises(NotFound, match="Known placements: home"):
        recommend(SlateRequest(placement="hoem"))
    for n in (0, 101, -1):
        with pytest.raises(InvalidInput) as caught:
            ask(n)
        assert caught.value.field == "n"
    with pytest.raises(InvalidInput):
        ask(items=tuple(f"x{n}" for n in range(51)))


def test_an_archived_placement_is_not_served(home: Placement) -> None:
    ask()
    placement_archive(placement=home)
    with pytest.raises(NotFound):
        ask()


def test_parts_sum_to_the_score_and_the_main_source_lists_the_item(home: Placement) -> None:
    draft = draft_save(placement=home, revision=0, weights={"als": 0.4, "ease": 1.0})
    publication_publish(placement=home, revision=draft.revision)
    slate = ask(12)
    for item in slate.items:
        assert item.score == pytest.approx(sum(item.parts.values()))
    by_sku = {item.sku: item for item in slate.items}
    assert by_sku["p05"].source == "ease"
    assert by_sku["p00"].source == "als", "ease does not list it"


def test_the_trace_says_everything_once(home: Placement) -> None:
    rules_publish(
        home,
        pin("p09", 2),
        hide("p01"),
        {"id": "bury", "kind": "bury", "strength": 0.3, "target": _product("p00")},
        {"id": "brand", "kind": "limit", "max": 2, "by": "brand"},
    )
    slate = ask(4, explain=True)
    trace = slate.trace
    assert trace is not None
    assert skus(slate) == skus(ask(4))
    assert [entry["rung"] for entry in trace["ladder"]] == ["shopper"]
    assert trace["sources"][0]["source"] == "als"
    pinned = next(entry for entry in trace["items"] if entry["sku"] == "p09")
    assert pinned["position"] == 2
    assert pinned["effects"][0]["code"] == "pinned"
    part = pinned["parts"][0]
    assert (part["rank"], part["raw"], part["listed"]) == (10, 11.0, True)
    assert part["contribution"] == pytest.approx(part["normalised"] * part["weight"])
    states = {entry["rule"]: entry["state"] for entry in trace["rules"]}
    assert states == {"pin-p09": "fired", "hide": "fired", "bury": "fired", "brand": "fired"}
    gates = {entry["sku"]: entry["gate"] for entry in trace["dropped"]}
    assert gates["p01"] == "hide"
    listed = {f"p{n:02}" for n in range(20)}
    assert listed == set(gates) | {entry["sku"] for entry in trace["items"]}


def test_why_not_names_the_first_gate(home: Placement, ids: dict[str, int]) -> None:
    Product.objects.filter(sku="p02").update(stock=0, updated_at=clock.now())
    Product.objects.filter(sku__in=["p03", "p04"]).update(group_key="g", updated_at=clock.now())
    events_record(event("purchase", shopper="s1", sku="p05"))
    events_record(event("dislike", shopper="s1", sku="p06"))
    rules_publish(home, hide("p01"))
    request = SlateRequest(placement="home", shopper="s1", n=4)

    def code(sku: str) -> tuple[str, str]:
        answer = why_not(sku, request)
        return answer["gate"], answer["code"]

    assert why_not("p00", request)["position"] == 1
    assert code("p01") == ("hide", "hidden")
    assert why_not("p01", request)["definition"]["kind"] == "hide"
    assert code("p02") == ("availability", "out_of_stock")
    assert code("p04") == ("variant", "variant")
    assert why_not("p04", request)["params"]["of_sku"] == "p03"
    assert code("p05") == ("excluded", "bought")
    assert code("p06") == ("excluded", "disliked")
    answer = why_not("p19", request)
    assert (answer["gate"], answer["code"]) == ("page", "behind_page")
    assert answer["params"]["rank"] > 4
    assert answer["parts"][0]["rank"] == 20
    assert code("p25") == ("sources", "not_listed")
    products_make("p99", stock=[0])
    assert code("p99") == ("availability", "out_of_stock")
    with pytest.raises(InvalidInput):
        why_not("never-heard-of", request)


def test_why_not_says_when_only_a_source_of_weight_zero_has_it(home: Placement) -> None:
    draft = draft_save(placement=home, revision=0, weights={"ease": 1.0})
    publication_publish(placement=home, revision=draft.revision)
    answer = why_not("p19", SlateRequest(placement="home", shopper="s1", n=4))
    assert (answer["code"], answer["params"]) == ("weight_zero", {"sources": ["als", "popular"]})


@pytest.mark.usefixtures("home")
def test_an_exposure_says_what_was_served(shopper: Shopper) -> None:
    slate = ask(3, session="v1")
    row = exposure_of(slate)
    assert isinstance(row.request_id, uuid.UUID)
    assert list(row.product_ids) == [item.product_id for item in slate.items]
    assert row.propensities == [1.0, 1.0, 1.0]
    assert (row.placement, row.rung, row.shopper_id, row.session) == ("home", "shopper", shopper.pk, "v1")
    assert list(row.model_version_ids) == sorted(slate.model_versions.values())
