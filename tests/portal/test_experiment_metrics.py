"""The metrics of experiments: in words, defined in the browser with a live count, archived."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.metrics.models import MetricDefinition
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db
FORM = {
    "name": "Mugs in the cart", "kind": "proportion", "higher_is_better": "yes", "unit": "rate",
    "n_of": "event", "n_role": "cart", "n_value": "count", "n_category": "Home > Mugs",
    "d_of": "event", "d_value": "count",
}  # fmt: skip


@pytest.fixture
def shop(db: None) -> SmallShop:
    return small_shop_make()


@pytest.fixture
def browser(client_of: ClientOf, maya: User, shop: SmallShop) -> Client:
    return client_of(maya)


def test_built_in_ones_are_told_in_words(browser: Client) -> None:
    body = browser.get("/experiments/metrics/").content.decode()
    assert "Of the shoppers who took part, the share with at least one: purchases." in body
    assert "Quantity of returns divided by quantity of purchases, all shoppers together." in body
    assert "Values above the 99% point of all positive ones count as that value." in body
    assert "nothing feeds it" in body


def test_the_count_follows_the_form(browser: Client) -> None:
    count = "/experiments/metrics/new/count/"
    body = browser.post(count, FORM | {"n_category": ""}).content.decode()
    assert "products put into the cart" in body
    assert '<dd class="">6</dd>' in body
    body = browser.post(count, FORM | {"n_role": "purchase"}).content.decode()
    assert "Nothing feeds it: purchases of Home &gt; Mugs." in body
    assert "Choose a role or a kind of event." in browser.post(count, {"n_of": "event"}).content.decode()
    body = browser.post(count, FORM | {"kind": "ratio", "d_of": "session"}).content.decode()
    assert body.count("<dd") == 2


def test_a_metric_is_defined_used_and_archived(browser: Client) -> None:
    assert "What is counted for each shopper" in browser.get("/experiments/metrics/new/").content.decode()
    fed = FORM | {"n_category": ""}
    assert browser.post("/experiments/metrics/new/save/", fed).status_code == 302
    row = MetricDefinition.objects.get()
    assert (row.code, row.numerator) == ("mugs_in_the_cart", {"role": "cart"})
    body = browser.get("/experiments/metrics/").content.decode()
    assert "Mugs in the cart" in body
    assert "Archive" in body
    assert (
        "Archive “Mugs in the cart”?"
        in browser.get("/experiments/metrics/mugs_in_the_cart/ask/").content.decode()
    )
    assert browser.post("/experiments/metrics/mugs_in_the_cart/archive/").status_code == 302
    assert "1 archived metric" in browser.get("/experiments/metrics/").content.decode()
    assert browser.get("/experiments/metrics/conversion/ask/").status_code == 404
    # Its name is free again, its code is not.
    browser.post("/experiments/metrics/new/save/", fed)
    assert set(MetricDefinition.objects.values_list("code", flat=True)) == {
        "mugs_in_the_cart",
        "mugs_in_the_cart_2",
    }


def test_a_ratio_and_a_capped_mean(browser: Client) -> None:
    ratio = FORM | {"name": "Carts a session", "kind": "ratio", "n_category": "", "d_of": "session"}
    assert browser.post("/experiments/metrics/new/save/", ratio).status_code == 302
    capped = FORM | {
        "name": "篮",
        "kind": "revenue",
        "n_category": "",
        "n_value": "quantity",
        "winsorise": "95",
    }
    assert browser.post("/experiments/metrics/new/save/", capped).status_code == 302
    made = {row.code: row for row in MetricDefinition.objects.all()}
    assert made["carts_a_session"].denominator == {"of": "session"}
    assert made["metric"].winsorise == 0.95


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_role": "purchase", "n_category": ""}, "No event of the last 28 days feeds it."),
        ({"n_category": "Nowhere"}, "Give the path of a category, from the root."),
        ({"kind": "quantile", "n_category": ""}, "Say which: 50 is the median."),
        (
            {"n_value": "amount", "n_role": "view", "n_category": ""},
            "Only purchases, returns and carts have amounts",
        ),
        ({"name": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(browser: Client, changes: dict[str, str], words: str) -> None:
    answer = browser.post("/experiments/metrics/new/save/", FORM | {"window_hours": "48"} | changes)
    assert words in answer.content.decode()
    assert 'value="48"' in answer.content.decode()
    assert not MetricDefinition.objects.exists()


def test_an_analyst_defines_nothing(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    browser = client_of(ana)
    assert "New metric" not in browser.get("/experiments/metrics/").content.decode()
    assert browser.post("/experiments/metrics/new/save/", FORM).status_code == 403
    assert browser.post("/experiments/metrics/new/count/", FORM).status_code == 200


def test_metrics_are_told_in_whole_sentences(browser: Client) -> None:
    body = browser.get("/experiments/metrics/").content.decode()
    assert "For each shopper who took part: orders." in body
    assert "Slates clicked divided by slates seen, all shoppers together." in body
    assert "Amount of purchases, net of returns divided by orders, all shoppers together." in body
