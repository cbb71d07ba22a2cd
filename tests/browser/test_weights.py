"""Weights in a browser: move a slider, see the list change, publish, and the storefront gets it."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.merchandising.models import Draft, Publication
from tests.browser.studio import HOME, Login, grave_findings, skus_shown
from tests.portal.small_shop import SmallShop


def test_a_slider_moves_the_slate_and_publishing_moves_the_shop(
    page: Page, browser_login: Login, maya: User, shop: SmallShop, rest: Callable[[], list[str]]
) -> None:
    browser_login(maya)
    page.goto(f"/weights/?{HOME}")
    assert grave_findings(page) == []
    served, shown = rest(), skus_shown(page)
    expect(page.locator("#publish-button")).to_be_disabled()
    # By keyboard: End takes the slider to 1; the number beside it and the slate follow.
    slider = page.get_by_role("slider", name="Popularity")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#w-popular")).to_have_value("1.00")
    expect(page.locator(".rp-move").first).to_be_visible()
    expect(page.locator("#announce")).to_contain_text(re.compile("moves?|comes? in"))
    assert skus_shown(page) != shown
    expect(page.locator("#draft-state")).to_contain_text("1 unpublished change")
    assert rest() == served
    # What changes is said before anything does.
    page.locator("#publish-button").click()
    dialog = page.locator("#modal")
    expect(dialog).to_contain_text("Popularity: weight from 0.10 to 1.00")
    expect(dialog).to_contain_text("6 of 6 sampled slates change.")
    assert grave_findings(page) == []
    dialog.get_by_label("Note for your colleagues (optional)").fill("More of what sells")
    dialog.get_by_role("button", name="Publish now").click()
    expect(page.locator("#toasts")).to_contain_text("Publication 2 of Home page is live.")
    expect(page.locator("#draft-state")).to_contain_text("Same as live")
    page.wait_for_timeout(2000)
    assert rest() != served
    # One click returns.
    page.locator("#toasts a").click()
    expect(page.get_by_text("More of what sells")).to_be_visible()
    assert grave_findings(page) == []
    entry = page.locator(".rp-entry", has_text="Home page").filter(has=page.get_by_text("#1", exact=True))
    entry.get_by_role("button", name="Return to #1").click()
    expect(page.get_by_text("Return to publication 1").first).to_be_visible()
    page.wait_for_timeout(2000)
    assert rest() == served
    assert Publication.objects.filter(placement=shop.home).count() == 3


def test_a_colleagues_change_is_never_written_over(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto(f"/weights/?{HOME}")
    Draft.objects.filter(placement=shop.home).update(revision=7)
    page.locator("#w-ease").fill("0.2")
    expect(page.locator("#draft-state-place")).to_contain_text("Nothing was overwritten")
    assert Draft.objects.get(placement=shop.home).weights["ease"] != 0.2


def test_an_analyst_looks_and_cannot_move_anything(
    page: Page, browser_login: Login, ana: User, shop: SmallShop
) -> None:
    browser_login(ana)
    page.goto(f"/weights/?{HOME}")
    expect(page.get_by_role("slider", name="Popularity")).to_be_disabled()
    expect(page.get_by_text("that needs the merchandiser role")).to_be_visible()
    expect(page.locator("#publish-button")).to_have_count(0)
    assert grave_findings(page) == []
