"""Logging in in a browser: the page, a wrong password, an invitation from link to first page."""

import re

from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.accounts.services import shop_settings_update
from apps.core.clock import now
from tests.browser.studio import Login, grave_findings
from tests.people import PASSWORD
from tests.processes import RealProcess


def shop_set_up() -> None:
    """A shop that has been set up, so that the overview is the first page."""
    shop_settings_update(name="Teapot", currency="GBP", time_zone="UTC", languages=["en"], set_up_at=now())


def test_login_refuses_in_words_and_lets_in(page: Page, live_site: RealProcess, maya: User) -> None:
    shop_set_up()
    page.goto("/")
    page.wait_for_url("**/admin/login/?next=/")
    assert grave_findings(page) == []
    page.get_by_label("Username").fill("maya")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#login-form")).to_be_visible()
    expect(page.get_by_text("Please enter the correct username and password")).to_be_visible()
    page.get_by_label("Username").fill("maya")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_text("Teapot")).to_be_visible()


def test_login_speaks_the_readers_language(page: Page, live_site: RealProcess, maya: User) -> None:
    page.goto("/admin/login/")
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("button", name="登录")).to_be_visible()
    expect(page.get_by_text("决定顾客看到什么。")).to_be_visible()


def test_an_invitation_leads_from_its_link_to_the_first_page(
    page: Page, browser_login: Login, adam: User
) -> None:
    shop_set_up()
    browser_login(adam)
    page.goto("/settings/team/")
    page.get_by_role("button", name="Invite").click()
    page.get_by_label("E-mail address").fill("nina@shop.example")
    page.get_by_role("combobox", name="Role").select_option("analyst")
    page.get_by_role("button", name="Make invitation").click()
    link = page.locator("#invitation-link").inner_text()
    assert re.search(r"/welcome/[\w-]+/$", link)
    assert grave_findings(page) == []
    page.context.clear_cookies()
    page.goto(link)
    assert grave_findings(page) == []
    page.get_by_label("First name").fill("Nina")
    page.get_by_label("Password", exact=True).fill("violet-kettle-41-harbour")
    page.get_by_label("The same password again").fill("violet-kettle-41-harbour")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("button", name="Nina")).to_be_visible()
