"""Inspect in a browser: search, keyboard, why here, why not here, phone, Chinese, axe."""

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from tests.browser.studio import HOME, Login, grave_findings, skus_shown
from tests.portal.small_shop import SmallShop


def test_a_shopper_is_found_and_the_slate_explained(
    page: Page, browser_login: Login, ana: User, shop: SmallShop
) -> None:
    browser_login(ana)
    page.goto(f"/inspect/?{HOME}")
    assert grave_findings(page) == []
    before = skus_shown(page)
    # Search as you type, by keyboard alone.
    page.get_by_role("combobox", name="Shopper").fill("per-4")
    expect(page.locator("#context-shopper-list [role=option]")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**shopper=shopper-4**")
    assert skus_shown(page) != before
    # Arrows walk over the cards, Enter opens the reasons, Escape closes them.
    page.locator("[data-slate-card]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    panel = page.locator("#side-panel")
    expect(panel.get_by_role("heading", name="Why position 2?")).to_be_visible()
    expect(panel).to_contain_text("before any rule")
    assert grave_findings(page) == []
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    # "/" goes to "Why is … not here?".
    absent = next(
        title for title in (one.title for one in shop.products.values()) if title not in skus_shown(page)
    )
    page.keyboard.press("/")
    page.keyboard.type(absent)
    page.get_by_role("option", name=absent).first.click()
    expect(page.locator("#why-not-answer")).to_contain_text(absent)


def test_keys_go_everywhere_and_help_says_so(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto(f"/inspect/?{HOME}")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Everything by keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("w")
    page.wait_for_url("**/weights/?placement=home&shopper=shopper-1")
    page.locator("#jobs-button").click()
    expect(page.locator("#jobs-drawer")).to_contain_text("Nothing is running.")


def test_the_page_speaks_chinese_in_the_dark_on_a_phone(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.goto(f"/inspect/?{HOME}")
    page.get_by_role("button", name="Show or hide the menu").last.click()
    page.get_by_role("button", name="maya").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", name="查看推荐")).to_be_visible()
    expect(page.locator("html")).to_have_class("dark")
    expect(page.get_by_text("首页：展示内容")).to_be_visible()
    assert grave_findings(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def test_a_shoppers_wish_is_noted_beside_what_they_did(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto("/inspect/?placement=home&shopper=shopper-1")
    page.get_by_role("button", name="Change what this shopper wants").click()
    dialog = page.locator("#modal")
    expect(dialog.get_by_role("heading", name="Nothing personal for shopper-1")).to_be_visible()
    assert grave_findings(page) == []
    dialog.get_by_role("button", name="Nothing personal").click()
    expect(page.locator(".rp-wish")).to_contain_text("Nothing personal")
    assert grave_findings(page) == []
