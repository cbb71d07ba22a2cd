"""Rules in a browser: a pin is seen before it is kept, and kept before it is live."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.merchandising.models import Draft
from tests.browser.studio import HOME, Login, grave_findings, skus_shown
from tests.portal.small_shop import SmallShop


def test_a_pin_puts_a_product_at_its_position(
    page: Page, browser_login: Login, maya: User, shop: SmallShop, rest: Callable[[], list[str]]
) -> None:
    browser_login(maya)
    page.goto(f"/rules/?{HOME}")
    assert grave_findings(page) == []
    shown = skus_shown(page)
    sku, title = next((sku, one.title) for sku, one in shop.products.items() if one.title not in shown)
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_text("Pick a product.")).to_be_visible()
    page.get_by_role("combobox", name="Product").fill(title)
    page.get_by_role("option", name=title).first.click()
    page.get_by_role("spinbutton", name="Position").fill("3")
    third = page.locator("[data-slate-card]").nth(2)
    expect(third).to_contain_text(title)
    expect(third).to_contain_text("Pinned")
    assert grave_findings(page) == []
    assert Draft.objects.get(placement=shop.home).rules == []
    page.get_by_role("button", name="Keep in draft").click()
    expect(page.locator("#rules-list")).to_contain_text(f"Pin “{title}” to position 3")
    expect(page.locator("#rule-form")).to_have_count(0)
    expect(third).to_contain_text(title)
    assert grave_findings(page) == []
    page.locator("#publish-button").click()
    expect(page.locator("#modal")).to_contain_text(f"New rule: Pin “{title}” to position 3")
    page.get_by_role("button", name="Publish now").click()
    expect(page.locator("#toasts")).to_contain_text("is live")
    page.wait_for_timeout(2000)
    assert rest()[2] == sku


def test_a_rule_is_switched_removed_and_brought_back(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto(f"/rules/?{HOME}")
    shown = skus_shown(page)
    page.get_by_role("button", name="Hide", exact=True).click()
    page.get_by_role("combobox", name="Product").fill(shown[0])
    page.get_by_role("option", name=shown[0]).first.click()
    expect(page.locator("[data-slate-card]").first).not_to_contain_text(shown[0])
    page.get_by_role("button", name="Keep in draft").click()
    words = f"Hide “{shown[0]}”"
    switch = page.get_by_role("checkbox", name=words)
    switch.focus()
    page.keyboard.press("Space")
    expect(page.locator("#rules-list")).to_contain_text("Switched off")
    expect(page.locator("[data-slate-card]").first).to_contain_text(shown[0])
    page.get_by_role("button", name=f"Remove: {words}").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#rules-list")).to_contain_text(words)
    assert len(Draft.objects.get(placement=shop.home).rules) == 1
