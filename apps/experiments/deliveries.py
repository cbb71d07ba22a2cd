"""Messages on their way: one row for each address and occasion, tried until sent, with its outcome kept.

A row is written once, whoever looks how often. A worker that dies between sending and noting it sends the
message again; a webhook's receiver tells by the header X-RecoPortal-Delivery.
"""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.client import HTTPException
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction

from apps.accounts.selectors import shop_settings_get
from apps.core import clock
from apps.experiments.digest import DIGEST, TOLD, email_of, payload_of
from apps.experiments.models import (
    Channel,
    Delivery,
    DeliveryStatus,
    Experiment,
    ExperimentEvent,
    ExperimentStatus,
)
from apps.experiments.trail import experiment_log

TRIES = 6
TIMEOUT = 5.0
# A digest is made on the first look after this hour of the shop's day.
DIGEST_HOUR = 8
# What was not told by then is not told any more: addresses that were added later get no old news.
TOLD_WITHIN = timedelta(hours=6)
STALE = timedelta(hours=3)


def deliveries_make() -> list[int]:
    """Write the messages that are due; returns the ids of those to send, also of forgotten ones."""
    now = clock.now()
    before = set(Delivery.objects.filter(status=DeliveryStatus.PENDING).values_list("pk", flat=True))
    rows = [*_of_events(now), *_of_the_day(now)]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    pending = Delivery.objects.filter(status=DeliveryStatus.PENDING)
    new = list(pending.exclude(pk__in=before).order_by("id").values_list("pk", flat=True))
    forgotten = pending.filter(pk__in=before, updated_at__lt=now - STALE)
    return [*new, *forgotten.values_list("pk", flat=True)]


def _of_events(now: datetime) -> Iterator[Delivery]:
    events = ExperimentEvent.objects.filter(kind__in=TOLD, at__gt=now - TOLD_WITHIN)
    for event in events.select_related("experiment").order_by("id"):
        for channel, target in _targets(event.experiment):
            yield Delivery(
                experiment=event.experiment, key=f"event:{event.pk}", kind=event.kind, event=event,
                channel=channel, target=target,
            )  # fmt: skip


def _of_the_day(now: datetime) -> Iterator[Delivery]:
    local = now.astimezone(shop_settings_get().zone)
    if local.hour < DIGEST_HOUR:
        return
    morning = local.replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    rows = Experiment.objects.filter(status=ExperimentStatus.RUNNING, started_at__lt=morning)
    for experiment in rows.order_by("id"):
        for channel, target in _targets(experiment):
            yield Delivery(
                experiment=experiment,
                key=f"{DIGEST}:{local.date()}",
                kind=DIGEST,
                channel=channel,
                target=target,
            )


def _targets(experiment: Experiment) -> list[tuple[str, str]]:
    hooks = [(Channel.WEBHOOK.value, experiment.webhook)] if experiment.webhook else []
    return [*((Channel.EMAIL.value, one) for one in experiment.emails), *hooks]


@transaction.atomic
def delivery_send(*, delivery_id: int) -> str:
    """Try to send a message; returns its status. One that somebody else holds, or is through, is left
    alone.
    """
    rows = Delivery.objects.select_for_update(skip_locked=True, of=("self",))
    delivery = rows.filter(pk=delivery_id, status=DeliveryStatus.PENDING).first()
    if delivery is None:
        return ""
    delivery.attempts += 1
    try:
        if delivery.channel == Channel.EMAIL:
            subject, text = email_of(delivery)
            send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [delivery.target])
        else:
            _post(delivery)
        delivery.status, delivery.error, delivery.sent_at = DeliveryStatus.SENT, "", clock.now()
    except (OSError, HTTPException, SMTPException, ValueError) as error:
        delivery.error = str(error)[:300] or type(error).__name__
        if delivery.attempts >= TRIES:
            delivery.status = DeliveryStatus.FAILED
    delivery.save()
    if delivery.status != DeliveryStatus.PENDING:
        kind = "digest_sent" if delivery.status == DeliveryStatus.SENT else "digest_failed"
        experiment_log(
            delivery.experiment,
            kind,
            None,
            about=delivery.kind,
            channel=delivery.channel,
            to=delivery.target,
            error=delivery.error,
        )
    return delivery.status


def webhook_secret(experiment: Experiment) -> str:
    """The key of an experiment's signatures, made from the shop's secret; shown to those who may change
    it.
    """
    message = f"experiments.webhook:{experiment.code}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()


def signature_of(experiment: Experiment, body: bytes) -> str:
    """What the receiver compares: sha256=<hex of HMAC-SHA256 of the body under the secret>."""
    digest = hmac.new(webhook_secret(experiment).encode(), body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A message goes where it was sent and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _post(delivery: Delivery) -> None:
    """POST the payload as JSON; raises OSError (HTTPError is one) for anything but a 2xx answer in time."""
    body = json.dumps(payload_of(delivery), default=str).encode()
    request = urllib.request.Request(
        delivery.target,
        data=body,
        method="POST",
        headers={
            "Content-Type": "application/json",
            "User-Agent": "RecoPortal",
            "X-RecoPortal-Delivery": str(delivery.pk),
            "X-RecoPortal-Kind": delivery.kind,
            "X-RecoPortal-Signature": signature_of(delivery.experiment, body),
        },
    )
    with urllib.request.build_opener(_NoRedirects()).open(request, timeout=TIMEOUT) as answer:
        answer.read(1024)
