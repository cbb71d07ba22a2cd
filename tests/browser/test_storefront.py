"""The demo storefront in a browser: clicks change the shelves, other eyes, opting out, phone, Chinese."""

import re

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.portal.storefront import storefront_open
from tests.browser.studio import Login, grave_findings
from tests.portal.small_shop import SmallShop
from tests.processes import RealProcess


def shelf(page: Page, kind: str) -> list[str]:
    """The skus on a shelf, in order."""
    cards = page.locator(f"[data-shelf={kind}] [data-sku]")
    expect(cards.first).to_be_visible()
    skus: list[str] = cards.evaluate_all("all => all.map((one) => one.dataset.sku)")
    return skus


def test_what_a_visitor_does_changes_what_is_shown(
    page: Page, shop: SmallShop, inbox_consumer: RealProcess
) -> None:
    storefront_open()
    page.goto("/storefront/")
    before = shelf(page, "shopper")
    assert page.locator("[data-inspect-url]").count() == 0
    assert page.locator("[data-shelf=viewed]").is_hidden()
    # Nothing is on promotion in this shop.
    expect(page.locator("[data-shelf=promotion]")).to_be_hidden()
    assert grave_findings(page) == []
    # A product is opened: back on the home page the shelf is another one, and says why.
    clicked = page.locator("[data-shelf=trending] [data-sku]").last
    title = clicked.locator(".sf-name").inner_text()
    clicked.locator("a").click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    page.get_by_role("button", name="Add to cart").click()
    expect(page.locator("[data-cart-count]")).to_have_text("1")
    page.get_by_role("link", name="Cart").click()
    expect(page.locator("[data-shelf=cart] [data-sku]").first).to_be_visible()
    assert grave_findings(page) == []
    page.get_by_role("link", name="RecoPortal shop").click()
    expect(page.get_by_role("heading", name=f"Because you viewed {title}")).to_be_visible()
    after = shelf(page, "shopper")
    assert after != before
    # A like changes it under the visitor's eyes, and a screen reader hears of it.
    page.locator("[data-shelf=new] .sf-like").nth(3).click()
    expect(page.locator("[data-says]")).to_contain_text("is up to date")
    # Who opts out is shown what a stranger is shown.
    page.locator(".sf-demo summary").click()
    page.get_by_label("Personal recommendations").uncheck()
    expect(page.locator("[data-shelf=shopper] [data-sku]").first).to_have_attribute("data-sku", before[0])
    assert shelf(page, "shopper") == before


def test_staff_look_through_a_shoppers_eyes_on_a_phone_in_chinese(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    storefront_open()
    browser_login(maya)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.goto("/storefront/?lang=zh-hans")
    stranger = shelf(page, "shopper")
    page.locator(".sf-demo summary").click()
    page.get_by_label("我是谁？").select_option("shopper-3")
    expect(page.locator("[data-now]")).to_have_text("shopper-3")
    expect(page.locator("[data-shelf=shopper] [data-why]")).to_contain_text("shopper")
    assert shelf(page, "shopper") != stranger
    for path in ("/storefront/", "/storefront/product/P05/", "/storefront/search/?q=lamp"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        assert grave_findings(page) == [], path
    page.goto("/storefront/")
    page.locator("[data-shelf=shopper]").get_by_role("link", name="查看这一栏的推荐依据").click()
    page.wait_for_url(re.compile(r"/inspect/\?.*shopper=shopper-3"))
