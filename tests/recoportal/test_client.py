"""The Python client against a real server, which goes away and comes back."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from apps.accounts.services import api_client_create
from apps.events.models import EventKey
from recoportal.client import ApiError, RecoPortal, Rejected, event_make
from recoportal.env import BASE_DIR
from tests.portal.small_shop import SmallShop, small_shop_make
from tests.processes import RealProcess


@pytest.fixture
def shop(committed_db: None) -> SmallShop:
    return small_shop_make()


@pytest.fixture
def key(shop: SmallShop) -> str:
    return api_client_create(name="shop", scopes=["recommend", "events"])[1]


@pytest.fixture
def busy() -> Iterator[tuple[str, list[int]]]:
    """A server that answers 503 twice, drops the third connection, then answers; and what it was asked."""
    asked: list[int] = []

    class Busy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Each time one step further."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(hash(body))
            if len(asked) == 3:
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(503 if len(asked) < 3 else 200)
            text = b'{"accepted": 1, "duplicates": 0, "rejected": []}'
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the tests' output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_slates_and_events_over_a_server_that_is_killed_and_started_again(
    live_site_start: Callable[..., RealProcess], inbox_consumer: RealProcess, shop: SmallShop, key: str
) -> None:
    site = live_site_start()
    refused: list[Rejected] = []
    reco = RecoPortal(site.url, key, patience=60.0, flush_every=0.05, on_rejected=refused.append)
    slate = reco.slate("home", shopper="shopper-1", n=5, language="en")
    assert [item.position for item in slate.items] == [1, 2, 3, 4, 5]
    assert slate.items[0].title == shop.title(slate.items[0].sku)
    assert slate.rung == "shopper"
    asked = reco.slate("home", exclude=[f"P{number:02d}-{'x' * 55}" for number in range(60)], explain=True)
    assert "trace" in asked.extra, "a question that outgrows an address is posted"
    assert slate.experiment is None
    assert reco.assignments(shopper="shopper-1", experiment="none", expose=True) == {}
    with pytest.raises(ApiError, match="n: ") as wrong:
        reco.slate("home", n=0)
    assert (wrong.value.status, wrong.value.field) == (400, "n")

    ids = [reco.event("view", sku="P01", shopper="shopper-1") for _ in range(20)]
    assert reco.flush()
    site.kill()
    ids += [reco.event("view", sku="P02", shopper="shopper-1") for _ in range(20)]
    reco.event("no such kind", sku="P02")
    assert not reco.flush(timeout=0.3)
    assert reco.waiting == 21
    live_site_start(port=urlsplit(site.url).port)
    assert reco.flush(), "they were kept, and are sent when the server is back"
    assert reco.slate("home", shopper="shopper-1").items
    again = reco.send([event_make("view", sku="P01", client_event_id=one) for one in ids])
    assert (again.accepted, again.duplicates) == (0, 40), "each is stored once"
    assert [one.field for one in refused] == ["kind"]
    assert reco.close()
    with pytest.raises(ApiError):
        reco.event("view", sku="P01")
    inbox_consumer.wait_until(
        "the events", lambda: EventKey.objects.filter(client_event_id__in=ids).count() == 40
    )


def test_a_call_is_repeated_as_it_was_while_the_server_is_busy(busy: tuple[str, list[int]]) -> None:
    url, asked = busy
    reco = RecoPortal(url, "any", patience=30.0)
    assert reco.send([event_make("view", sku="P01")]).accepted == 1
    assert len(asked) >= 4
    assert len(set(asked)) == 1, "the same ids each time"


def test_without_patience_the_caller_hears_at_once() -> None:
    reco = RecoPortal("http://127.0.0.1:9", "any", patience=0.0)
    with pytest.raises(ApiError) as away:
        reco.slate("home")
    assert away.value.status == 0
    with pytest.raises(ValueError, match="base_url"):
        RecoPortal("reco.shop.example", "any")


def test_it_stands_on_the_standard_library_alone() -> None:
    code = (
        "import sys, recoportal.client; print({'django', 'numpy', 'requests', 'orjson'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
