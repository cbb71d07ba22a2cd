"""The Chinese pages: no English left on them, charts included; dark, on a phone, without grave findings."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.accounts.services import shop_settings_update
from apps.core.clock import now
from apps.metrics.models import DailyMetric
from tests.browser.studio import Login, grave_findings
from tests.portal.small_shop import SmallShop

PAGES = (
    "/",
    "/models/",
    "/pipeline/",
    "/data/",
    "/data/kinds/",
    "/data/quality/",
    "/settings/",
    "/settings/placements/",
)
# Names that have no Chinese form: the product's, measures, formats, services, time zones.
LATIN = re.compile(
    r"RecoPortal|Teapot|CSV|NDCG@10|NDCG|JSON|Lines|Parquet|API|SKU|PostgreSQL|celery|recoportal|worker|beat|default"
    r"|score|train|iALS|EASE|Asia|Shanghai|GBP|adam|shop\.example|[a-z]+_[a-z_]+|v\d+|MB|GB|ms|-[AQc]\b|sku|A\b"
)

# Codes and kinds of events are what a storefront sends, in any language.
CODES = frozenset(
    {
        "home", "product", "cart", "trending", "new", "together", "viewed", "again", "promotion", "sponsored",
        "category", "view", "click", "seen", "search", "purchase", "return",
        "rating", "like", "favourite", "share", "play", "dislike", "popular", "trend", "personal", "content",
        "als", "ease", "English",
    }
)  # fmt: skip


@pytest.fixture
def chinese(page: Page, browser_login: Login, adam: User, shop: SmallShop) -> Page:
    """A tab that speaks Chinese, on a shop with four weeks of figures."""
    shop_settings_update(
        name="Teapot", currency="GBP", time_zone="UTC", languages=["en", "zh-hans"], set_up_at=now()
    )
    for back in range(56):
        counts = {
            "slates_base": 100,
            "slates_clicked": 9,
            "sessions": 50,
            "sessions_bought": 2,
            "revenue": 90.0,
        }
        for placement in ("", "home"):
            day = (now() - timedelta(days=back)).date()
            DailyMetric.objects.create(day=day, placement=placement, counts=counts)
    browser_login(adam)
    page.goto("/profile/")
    page.get_by_label("Language of these pages").select_option("zh-hans")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="个人资料")).to_be_visible()
    return page


def test_no_english_is_left_on_the_pages(chinese: Page) -> None:
    for path in PAGES:
        chinese.goto(path)
        chinese.wait_for_load_state("networkidle")
        # Icons are ligatures of English names; nobody sees or hears those.
        chinese.evaluate(
            "document.querySelectorAll('.material-symbols-outlined').forEach((icon) => icon.remove())"
        )
        text = chinese.locator("main").inner_text()
        found = re.findall(r"\b(?![A-Z]{3}\b)[A-Za-z]{3,}", LATIN.sub("", text))
        assert set(found) - CODES == set(), f"{path}: {sorted(set(found) - CODES)}"


def test_charts_follow_language_and_theme(chinese: Page) -> None:
    chinese.goto("/")
    plot = chinese.locator("[data-chart].is-drawn").first
    expect(plot).to_be_visible()
    expect(plot).to_contain_text("上一周期")
    expect(plot).to_contain_text(re.compile(r"\d+月\d+日"))
    light = plot.locator("text.legendtext").first.evaluate("node => getComputedStyle(node).fill")
    chinese.evaluate("document.documentElement.classList.add('dark')")
    expect(plot.locator("text.legendtext").first).not_to_have_css("fill", light)


def test_on_a_phone_in_the_dark_nothing_overflows_or_hides(chinese: Page) -> None:
    chinese.set_viewport_size({"width": 390, "height": 844})
    chinese.evaluate("localStorage.setItem('adminTheme', JSON.stringify('dark'))")
    for path in (
        *PAGES,
        "/settings/keys/",
        "/settings/team/",
        "/models/recipe/ease/",
        "/models/recipe/als/settings/",
    ):
        chinese.goto(path)
        expect(chinese.locator("html")).to_have_class("dark")
        wide = chinese.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        assert grave_findings(chinese) == [], path
