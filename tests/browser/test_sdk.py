"""static/sdk.js in a real browser, on a page of another origin: seen, clicked, offline, leaving."""

import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route

from apps.accounts.services import api_client_create
from apps.catalog.models import Product
from apps.events.models import EventKey, EventKind, Exposure, Interaction, Shopper
from tests.portal.small_shop import SmallShop
from tests.processes import RealProcess
from tests.serving.experimenting import experiment_make

CHANNEL = "sdk test"
ORDER = "RecoPortal.purchase([{ sku: 'P04', quantity: 2, price: 5 }], { order: 'o1' })"
PAGE = """<!doctype html><html lang="en"><title>A shop</title>
<script src="{url}/static/sdk.js" data-key="{key}"></script>
<style>li {{ height: 300px }}</style><ul id="shelf"></ul>
<script type="module">
    RecoPortal.configure({{ channel: "sdk test" }});
    const render = (item) => Object.assign(document.createElement("li"), {{ textContent: item.sku }});
    window.slate = RecoPortal.shelf(document.querySelector("#shelf"), "home", {{ n: 6, render }});
    window.slate.then((slate) => (window.requestId = slate.request_id));
</script></html>"""


class ShopPages(http.server.BaseHTTPRequestHandler):
    """Any address answers the one page; another origin than RecoPortal's."""

    def __init__(self, *args: Any, text: list[str]) -> None:
        self.text = text
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer the page, or an empty one."""
        body = (self.text[0] if self.path == "/" else "<!doctype html><title>Elsewhere</title>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def shop_url(live_site: RealProcess, inbox_consumer: RealProcess, shop: SmallShop) -> Iterator[str]:
    """Give the address of a shop's page that uses the snippet."""
    text = [""]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(ShopPages, text=text))
    url = f"http://127.0.0.1:{server.server_address[1]}"
    _, key = api_client_create(name="Pages", scopes=["recommend", "events"], origins=[url])
    text[0] = PAGE.format(url=live_site.url, key=key)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield url
    server.shutdown()
    server.server_close()


@pytest.fixture
def stored(browser_context: BrowserContext) -> Callable[[str], list[tuple[str, str]]]:
    """Give `stored(kind)`: (sku, request id) of the events of a kind, in the order of their skus."""

    def look(kind: str) -> list[tuple[str, str]]:
        codes = dict(EventKind.objects.values_list("code", "pk"))
        skus = dict(Product.objects.values_list("pk", "sku"))
        rows = Interaction.objects.filter(kind_id=codes[kind], channel=CHANNEL)
        return sorted(
            (skus[pk or 0], str(request)) for pk, request in rows.values_list("product_id", "request_id")
        )

    return look


Stored = Callable[[str], list[tuple[str, str]]]


def until(page: Page, ready: Callable[[], bool]) -> None:
    """Wait, while the browser goes on."""
    for _ in range(150):
        if ready():
            return
        page.wait_for_timeout(100)
    raise AssertionError("waited in vain")


def opened(page: Page, url: str) -> tuple[str, list[str]]:
    """Open the page; returns the slate's request id and skus."""
    page.goto(url)
    page.wait_for_function("window.requestId")
    return page.evaluate("window.requestId"), page.locator("li").all_inner_texts()


def test_seen_once_clicks_with_their_slate_and_a_last_word_on_leaving(
    page: Page, shop_url: str, stored: Stored
) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    request_id, skus = opened(page, shop_url)
    assert len(skus) == 6
    until(page, lambda: len(stored("seen")) == 3)
    page.locator("li").nth(5).scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    page.evaluate("scrollTo(0, 0)")  # too short a look at the lower ones
    page.locator("li").first.click()
    page.evaluate("RecoPortal.cart(document.querySelector('li').textContent, { price: 9.5 })")
    until(page, lambda: bool(stored("add_to_cart")))
    page.wait_for_timeout(1_500)
    assert stored("seen") == sorted((sku, request_id) for sku in skus[:3])
    assert stored("click") == [(skus[0], request_id)]
    assert stored("add_to_cart") == [(skus[0], request_id)], "what follows from a click names its slate"
    assert {one.method for one in asked} == {"GET", "POST"}, "no browser had to ask first"
    # Leaving: nothing but the beacon can carry this.
    page.evaluate("window.fetch = () => Promise.reject(new Error('away')); RecoPortal.view('P05')")
    page.evaluate("setTimeout(() => { location.href = '/elsewhere' })")
    page.wait_for_url("**/elsewhere")
    until(page, lambda: [sku for sku, _ in stored("view")] == ["P05"])


def test_what_happens_offline_survives_a_reload_and_is_stored_once(
    page: Page, shop_url: str, stored: Stored
) -> None:
    away = True
    answered = 0

    def gate(route: Route) -> None:
        nonlocal answered
        if away:
            route.abort()
        elif answered == 0:  # the server takes the batch, the answer is lost on the way
            answered += 1
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/events*", gate)
    opened(page, shop_url)
    page.evaluate(f"navigator.sendBeacon = () => false; RecoPortal.view('P03'); {ORDER}")
    page.wait_for_timeout(300)
    page.reload()
    page.wait_for_function("window.requestId")
    assert page.evaluate("RecoPortal.waiting()") >= 2
    assert stored("view") == []
    away = False
    page.evaluate(ORDER)  # told again
    page.evaluate("RecoPortal.flush()")
    until(page, lambda: len(stored("view")) == 1)
    until(page, lambda: page.evaluate("RecoPortal.flush()"))
    assert page.evaluate("RecoPortal.waiting()") == 0
    assert len(stored("view")) == len(stored("purchase")) == 1
    assert EventKey.objects.filter(client_event_id="order-o1-0").count() == 1
    # Without RecoPortal the page goes on; without consent nothing is kept.
    page.route("**/api/v1/**", lambda route: route.abort())
    page.reload()
    answer = page.evaluate("window.slate")
    assert answer["items"] == []
    assert answer["error"]
    assert page.evaluate("RecoPortal.view('P01')")
    assert page.evaluate("RecoPortal.configure({ consent: false }).view('P01')") is None
    assert page.evaluate("Object.keys(localStorage)") == []


def test_variants_of_the_pages_own_stay_with_who_signs_in(page: Page, shop_url: str) -> None:
    experiment = experiment_make("big", {"control": {}, "b": {}})
    opened(page, shop_url)
    page.wait_for_timeout(2_000)  # by then every process knows of it
    asking = "RecoPortal.variant('big', {})"
    found = page.evaluate(asking)
    assert found in ("control", "b")
    assert page.evaluate("RecoPortal.variant('gone')") is None
    visitor = page.evaluate("RecoPortal.shopper()")
    page.evaluate("RecoPortal.identify('c-4711')")
    assert page.evaluate("RecoPortal.shopper()") == "c-4711"
    assert page.evaluate(asking) == found, "before any event has told who it is"
    page.evaluate("RecoPortal.view('P05')")
    until(page, lambda: Shopper.objects.filter(external_id="c-4711", first_known_as=visitor).exists())
    page.wait_for_timeout(1_000)
    assert page.evaluate(asking) == found
    until(page, lambda: Exposure.objects.filter(experiment_id=experiment.pk, variant=found).count() == 3)
