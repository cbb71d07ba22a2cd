"""The content policy lets every page work and no injected script run. Chromium is the judge."""

from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, Page, expect

from apps.accounts.models import User
from tests.browser.studio import Login
from tests.portal.small_shop import SmallShop
from tests.processes import POLICY_BROKEN, RealProcess

INJECTED = "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("/", "main"),
        ("/inspect/?placement=home&shopper=shopper-1", "[data-slate] .rp-title"),
        ("/weights/?placement=home&shopper=shopper-1", "[data-slider]"),
        ("/models/", "h1"),
        ("/admin/catalog/product/", "#result_list tbody tr"),
        ("/admin/accounts/user/", "#result_list tbody tr"),
        ("/api/docs/", ".swagger-ui .opblock"),
    ],
)
def test_page_keeps_to_the_policy(
    page: Page, browser_login: Login, adam: User, shop: SmallShop, path: str, sign: str
) -> None:
    browser_login(adam)
    page.goto(path)
    page.wait_for_load_state("networkidle")
    expect(page.locator(sign).first).to_be_visible()


def test_injected_script_does_not_run(
    browser_context: BrowserContext, browser_login: Login, adam: User, shop: SmallShop
) -> None:
    browser_login(adam)
    tab = browser_context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.goto("/weights/?placement=home&shopper=shopper-1")
    tab.evaluate(INJECTED)
    assert tab.evaluate("window.ran") is None
    assert any(POLICY_BROKEN in text for text in said)


def test_uploaded_picture_runs_nothing(browser_context: BrowserContext, live_site: RealProcess) -> None:
    picture = Path(settings.MEDIA_ROOT) / "uploaded" / "evil.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><script>document.documentElement.id = "ran"</script></svg>',
        encoding="utf-8",
    )
    tab = browser_context.new_page()
    answer = tab.goto("/media/uploaded/evil.svg")
    assert answer is not None
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert tab.evaluate("document.documentElement.id") == ""
