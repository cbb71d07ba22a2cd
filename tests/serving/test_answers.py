"""The bytes a client gets say what the slate says, for every kind of placement."""

import orjson
import pytest

from apps.catalog.models import Product
from apps.core import clock
from apps.merchandising.services import DEFAULT_PLACEMENTS
from apps.serving.answers import answer_of, slate_body
from apps.serving.decide import decide
from apps.serving.pipeline import exposure_of, slate_of
from apps.serving.slate import SlateRequest
from tests.serving.test_contract import key

__all__ = ["key"]
pytestmark = pytest.mark.usefixtures("committed_db", "key")
PLACEMENTS = [code for code, *_ in DEFAULT_PLACEMENTS]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_bytes_say_what_the_slate_says(placement: str) -> None:
    for shopper, items in (("s1", ()), ("", ("p03",)), ("", ())):
        for language in ("", "zh-hans"):
            asked = SlateRequest(placement, shopper, items, "v1", n=25, language=language)
            decision = decide(asked)
            slate, answer = slate_of(decision), answer_of(decision)
            said, wanted = orjson.loads(answer.content), slate_body(slate)
            assert said.pop("request_id") != wanted.pop("request_id")
            assert said == orjson.loads(orjson.dumps(wanted))
            kept = exposure_of(slate)
            names = [name for name in kept.__slots__ if name != "request_id"]
            assert [getattr(answer.exposure, name) for name in names] == [
                getattr(kept, name) for name in names
            ]


def test_a_changed_title_and_price_are_said() -> None:
    asked = SlateRequest("home", n=3)
    first = orjson.loads(answer_of(decide(asked)).content)["items"][0]
    changed = {"title": 'A "new" name\n', "price": 1.5, "updated_at": clock.now()}
    Product.objects.filter(sku=first["sku"]).update(**changed)
    again = orjson.loads(answer_of(decide(asked)).content)["items"][0]
    assert (again["sku"], again["title"], again["price"]) == (first["sku"], 'A "new" name\n', 1.5)
