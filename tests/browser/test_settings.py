"""Settings in a browser: a key that the API then takes, placements, the first run."""

import json
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from tests.browser.studio import Login, grave_findings
from tests.portal.small_shop import SmallShop
from tests.processes import RealProcess


def ask(site: RealProcess, key: str) -> int:
    """How many products the API answers with this key."""
    request = urllib.request.Request(
        f"{site.url}/api/v1/recommendations/home?n=5", headers={"Authorization": f"Api-Key {key}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return len(json.loads(answer.read())["items"])


def test_a_key_made_here_opens_the_api_until_it_is_revoked(
    page: Page, browser_login: Login, adam: User, shop: SmallShop, live_site: RealProcess
) -> None:
    browser_login(adam)
    page.goto("/settings/keys/")
    page.get_by_role("button", name="New key").click()
    page.locator("#key-new").get_by_label("Name").fill("Storefront")
    page.get_by_role("button", name="Create key").click()
    key = page.locator("#api-key").inner_text()
    assert grave_findings(page) == []
    assert ask(live_site, key) == 5
    page.get_by_role("button", name="Revoke Storefront").click()
    dialog = page.locator("#modal")
    expect(dialog).to_contain_text("is refused within two seconds")
    dialog.get_by_label("Type the name to go on").fill("Storefront")
    dialog.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("“Storefront” is revoked.")).to_be_visible()
    page.wait_for_timeout(2_000)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(live_site, key)


def test_a_placement_is_cloned_and_archived_by_its_name(
    page: Page, browser_login: Login, maya: User, shop: SmallShop
) -> None:
    browser_login(maya)
    page.goto("/settings/placements/")
    assert grave_findings(page) == []
    dialog = page.locator("#modal")
    page.get_by_role("button", name="Edit Home page").click()
    expect(dialog.get_by_label("Just looked at means within so many minutes")).to_be_hidden()
    dialog.get_by_text("What the shopper knows already").click()
    dialog.get_by_label("Just looked at means within so many minutes").fill("30")
    assert grave_findings(page) == []
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“Home page” is saved.")).to_be_visible()
    page.get_by_role("button", name="Clone Home page").click()
    dialog.get_by_label("Name of the copy").fill("Footer")
    dialog.get_by_label("Code of the copy").fill("footer")
    dialog.get_by_role("button", name="Clone", exact=True).click()
    expect(page.get_by_role("button", name="Archive Footer")).to_be_visible()
    page.get_by_role("button", name="Archive Footer").click()
    dialog.get_by_label("Type the name to go on").fill("Foot")
    dialog.get_by_role("button", name="Archive", exact=True).click()
    expect(dialog).to_contain_text("That is not the name")
    dialog.get_by_label("Type the name to go on").fill("Footer")
    dialog.get_by_role("button", name="Archive", exact=True).click()
    expect(page.get_by_role("button", name="Bring back Footer")).to_be_visible()


def test_the_first_run_sets_the_shop_up(page: Page, browser_login: Login, adam: User) -> None:
    browser_login(adam)
    page.goto("/")
    page.wait_for_url("**/start/")
    assert grave_findings(page) == []
    page.get_by_label("Shop name").fill("Teapot")
    page.get_by_label("Currency").select_option("CNY")
    page.get_by_label("Time zone").fill("Asia/Shanghai")
    page.get_by_label("Chinese (Simplified)").check()
    page.get_by_role("button", name="Set up the shop").click()
    expect(page.get_by_text("1 of 5 steps done.")).to_be_visible()
    expect(page.locator(".rp-step.is-done")).to_have_count(1)
    page.get_by_role("link", name="Import a feed").click()
    expect(page.get_by_role("heading", name="Import a product feed")).to_be_visible()
