"""What the browser tests of Inspect, Weights and Rules share: a small shop, axe, the REST API."""

import json
import urllib.request
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from apps.accounts.models import User
from apps.accounts.services import api_client_create
from tests.portal.small_shop import SmallShop, small_shop_make
from tests.processes import RealProcess

HOME = "placement=home&shopper=shopper-1"
Login = Callable[[User], None]
# "moderate" findings are Unfold's landmarks; what stops a person is serious or critical.
GRAVE = {"serious", "critical"}


@pytest.fixture
def shop(committed_db: None) -> SmallShop:
    """A small shop that the live site sees too."""
    return small_shop_make()


@pytest.fixture
def rest(live_site: RealProcess, shop: SmallShop) -> Callable[[], list[str]]:
    """Give `rest()`: the SKUs that a storefront gets for shopper-1 on the home page now."""
    _client, key = api_client_create(name="shopfront", scopes=["recommend"])

    def ask() -> list[str]:
        request = urllib.request.Request(
            f"{live_site.url}/api/v1/recommendations/home?shopper=shopper-1",
            headers={"Authorization": f"Api-Key {key}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return [item["sku"] for item in json.loads(answer.read())["items"]]

    return ask


def skus_shown(page: Page) -> list[str]:
    """The titles on the page's slate, in order."""
    return page.locator("[data-slate] .rp-title").all_inner_texts()


def grave_findings(page: Page) -> list[str]:
    """What axe finds serious or critical on the page as it stands."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
