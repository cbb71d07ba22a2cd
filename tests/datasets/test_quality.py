"""Each quality check counts what it is for."""

from datetime import timedelta

import pytest

from apps.catalog.models import Product
from apps.core import clock
from apps.datasets.quality import quality_report
from tests.factories.shop import event, events_record, products_make

pytestmark = pytest.mark.django_db


def test_an_empty_shop_is_only_silent() -> None:
    assert {check.code for check in quality_report().checks if check.level != "good"} <= {
        "silent",
        "anonymous",
        "bot",
    }


def test_checks_count_what_fails() -> None:
    products_make("good", "twin1", "twin2", title=["Good", "Twin", "twin"], image_url=["/a.svg", "", ""])
    Product.objects.filter(sku="good").update(price=None)
    past = (clock.now() - timedelta(hours=1)).isoformat()
    events_record(
        event(sku="ghost"), event("purchase", sku="good", price=None), event("purchase", sku="good", price=5),
        event(shopper="", session="", sku="good"), event(sku="good", bot=True),
        event(sku="twin1", occurred_at=past), event(sku="twin1", occurred_at=past),
    )  # fmt: skip
    with clock.pinned(clock.now() - timedelta(minutes=4)):
        events_record(event(sku="good", occurred_at=(clock.now() + timedelta(minutes=3)).isoformat()))
    found = {check.code: check for check in quality_report().checks}
    counts = {code: check.count for code, check in found.items()}
    assert (counts["price"], counts["image"], counts["placeholder"], counts["twins"]) == (1, 2, 1, 2)
    assert (counts["future"], counts["repeats"], counts["bot"], counts["session"]) == (1, 1, 1, 1)
    assert (found["unpriced"].count, found["unpriced"].total) == (1, 2)
    assert counts["unjoined"] == 0
    assert found["price"].level == "bad"
    assert all(check.title and check.why for check in found.values())
