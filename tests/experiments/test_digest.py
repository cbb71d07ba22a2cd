"""Messages: in words by e-mail, signed JSON by webhook, each once, tried again, with the outcome kept."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core import mail
from django.test import override_settings

from apps.accounts.models import User
from apps.core import clock
from apps.experiments.deliveries import (
    TRIES,
    deliveries_make,
    delivery_send,
    webhook_secret,
)
from apps.experiments.models import Delivery, Experiment, Readout
from apps.experiments.results import Note, Verdict
from apps.experiments.services import experiment_decide, experiment_pause
from tests.experiments.test_guardrails import analysis, stored
from tests.factories.experiments import experiment_run, placement_make, purchases_make
from tests.factories.shop import day

pytestmark = pytest.mark.django_db


@dataclass
class Receiver:
    """A web server that keeps what it is sent. answer: the status it gives."""

    address: str
    answer: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    found = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answer)
            if found.answer == 302:
                self.send_header("Location", found.address)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def shop(db: None) -> None:
    """A placement, and a purchase."""
    placement_make("home", als=1.0)
    purchases_make()


def send_all() -> list[str]:
    """What became of each message that was due."""
    return [delivery_send(delivery_id=one) for one in deliveries_make()]


def test_who_is_named_gets_each_message_once_in_their_language(maya: User) -> None:
    User.objects.filter(pk=maya.pk).update(language="zh-hans")
    made = experiment_run(emails=[maya.email, "boss@shop.example"], name="Bold home")
    stored(
        made, analysis(verdict=Verdict("ship", "b", (Note("reason_best", {"variant": "b", "count": 2}),), ()))
    )
    experiment_decide(actor=maya, experiment_id=made.pk, decision="ship", variant="b", note="At last")
    assert send_all() == ["sent"] * 4
    assert send_all() == []
    mine, boss = ([one for one in mail.outbox if one.to == [to]] for to in (maya.email, "boss@shop.example"))
    assert [one.subject for one in boss] == [
        "Bold home: the experiment was launched",
        "Bold home: b was shipped",
    ]
    assert "At last" in boss[1].body
    assert "Verdict: ship b." in boss[1].body
    assert "By maya." in boss[1].body
    assert mine[1].subject != boss[1].subject
    assert "b" in mine[1].subject
    assert made.log.filter(kind="digest_sent").count() == 4


def test_a_webhook_gets_signed_json(receiver: Receiver) -> None:
    made = experiment_run(webhook=receiver.address, name="Bold\nhome")
    stored(made, analysis())
    assert send_all() == ["sent"]
    headers, body = receiver.got[0]
    payload = json.loads(body)
    assert (payload["kind"], payload["experiment"]["code"]) == ("launched", made.code)
    assert payload["analysis"]["verdict"] == "keep_running"
    expected = hmac.new(webhook_secret(made).encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-recoportal-signature"] == f"sha256={expected}"
    assert headers["x-recoportal-delivery"] == str(payload["id"])
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("answer", [500, 302, 404])
def test_what_fails_is_tried_again_and_its_end_is_told(receiver: Receiver, answer: int) -> None:
    made = experiment_run(webhook=receiver.address)
    receiver.answer = answer
    (pk,) = deliveries_make()
    outcomes = [delivery_send(delivery_id=pk) for _ in range(TRIES)]
    assert outcomes == ["pending"] * (TRIES - 1) + ["failed"]
    assert delivery_send(delivery_id=pk) == ""
    row = Delivery.objects.get()
    assert (row.attempts, len(receiver.got), str(answer) in row.error) == (TRIES, TRIES, True)
    assert made.log.get(kind="digest_failed").details["channel"] == "webhook"


def test_a_receiver_that_is_away_costs_nothing_but_a_try() -> None:
    experiment_run(webhook="http://127.0.0.1:9/away")
    assert send_all() == ["pending"]
    assert Delivery.objects.get().error


@override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_PORT=9)
def test_mail_that_nobody_takes_is_tried_again() -> None:
    experiment_run(emails=["boss@shop.example"])
    assert send_all() == ["pending"]


def test_a_forgotten_message_is_found_again() -> None:
    experiment_run(emails=["boss@shop.example"])
    first = deliveries_make()
    assert deliveries_make() == []
    Delivery.objects.update(updated_at=clock.now() - timedelta(hours=4))
    assert deliveries_make() == first


def test_the_digest_comes_once_a_day_in_the_shops_morning() -> None:
    started = day("2026-03-02T20:00:00")
    with clock.pinned(started):
        purchases_make()
        made = experiment_run(emails=["boss@shop.example"])
        send_all()
    stored(made, analysis())
    kinds = []
    for hours in (11, 13, 14, 37):  # 7, 9 and 10 o'clock, and 9 the day after
        with clock.pinned(started + timedelta(hours=hours)):
            kinds.append([Delivery.objects.get(pk=one).kind for one in deliveries_make()])
    assert kinds == [[], ["digest"], [], ["digest"]]
    pk = Delivery.objects.filter(kind="digest").earliest("id").pk
    assert delivery_send(delivery_id=pk) == "sent"
    body = mail.outbox[-1].body
    assert "Units: control 1,000, b 1,000." in body
    assert "Verdict: keep running." in body


def test_a_new_address_gets_no_old_news_and_an_old_one_no_more() -> None:
    made = experiment_run()
    made.log.update(at=clock.now() - timedelta(hours=7))
    Experiment.objects.filter(pk=made.pk).update(emails=["boss@shop.example"])
    assert deliveries_make() == []
    experiment_pause(actor=None, experiment_id=made.pk)
    assert len(deliveries_make()) == 1


def test_a_digest_without_a_readout_says_so() -> None:
    experiment_run(emails=["boss@shop.example"])
    assert not Readout.objects.exists()
    send_all()
    assert "There is no readout yet." in mail.outbox[0].body
