"""Proof that a started site works: a storefront's calls with a real key, and a real login, over HTTP."""

from __future__ import annotations

import http.cookiejar
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.accounts.models import ApiClient
from apps.accounts.services import api_client_create, api_client_revoke, api_client_rotate
from apps.events.models import Shopper
from apps.portal.staff import DemoLogin
from recoportal.keptonce import site_mark_ensure

CLIENT_NAME = "make demo CHECK=1"
SCOPES = ("recommend", "events")
# Two sites on one port get about half of the connections each.
CONNECTIONS = 24


class ProofFailed(RuntimeError):
    """The site did not do what it should; the message says what it did."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen: how many products for which shopper, from which rung, in how many milliseconds."""

    shopper: str
    items: int
    rung: str
    milliseconds: float
    accepted: int
    login: str


def loop_prove(*, address: str, login: DemoLogin) -> Proof:
    """Ask for a slate, report a click on it and log in; raises ProofFailed. The key is revoked at the end."""
    client, key = prover_key()
    try:
        shopper = Shopper.objects.order_by("pk").values_list("external_id", flat=True).first() or ""
        query = urllib.parse.urlencode({"shopper": shopper, "n": 8, "explain": 1})
        started = time.perf_counter()
        slate = api_call(f"{address}/api/v1/recommendations/home?{query}", key)
        milliseconds = (time.perf_counter() - started) * 1000
        if not slate.get("items"):
            raise ProofFailed(f"the recommendations API answered without products: {slate}")
        click = {
            "kind": "click",
            "client_event_id": f"demo-check-{uuid.uuid4()}",
            "shopper": shopper,
            "sku": slate["items"][0]["sku"],
            "request_id": slate["request_id"],
        }
        answer = api_call(f"{address}/api/v1/events", key, click)
        if answer.get("accepted") != 1:
            raise ProofFailed(f"the events API did not accept a click: {answer}")
    finally:
        api_client_revoke(client_id=client.pk, reason="the proof is over")
    log_in(address, login)
    return Proof(
        shopper=shopper,
        items=len(slate["items"]),
        rung=str(slate.get("rung", "")),
        milliseconds=milliseconds,
        accepted=answer["accepted"],
        login=login.username,
    )


def site_alone(address: str) -> bool:
    """Tell whether ours is the one site on the port: granian shares its port with any other that asks."""
    ours = site_mark_ensure(settings.DATA_DIR, settings.SHOP_NAME)
    return all(site_mark_told(address) == ours for _ in range(CONNECTIONS))


def site_mark_told(address: str) -> str:
    """Return the mark in the health report that a fresh connection gets, nothing if there is none."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/health", timeout=10) as answer:
            return str(json.load(answer)["site"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def prover_key() -> tuple[ApiClient, str]:
    """Return our API client with a fresh key."""
    client = ApiClient.objects.filter(name=CLIENT_NAME).first()
    if client is not None:
        return api_client_rotate(client_id=client.pk)
    return api_client_create(name=CLIENT_NAME, scopes=SCOPES)


def api_call(url: str, key: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON answer of a GET, or of a POST of `body`."""
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Api-Key {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        detail = error.read()[:500].decode(errors="replace")
        raise ProofFailed(f"{url} answered {error.code}: {detail}") from error
    except OSError as error:
        raise ProofFailed(f"{url} can't be reached: {error}") from error


def log_in(address: str, login: DemoLogin) -> None:
    """Log in through the form like a person, and open the first page."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    form = f"{address}/admin/login/?next=/"
    try:
        with browser.open(form, timeout=30):
            token = next((cookie.value or "" for cookie in jar if cookie.name == "csrftoken"), "")
        fields = {
            "username": login.username,
            "password": login.password,
            "csrfmiddlewaretoken": token,
            "next": "/",
        }
        data = urllib.parse.urlencode(fields).encode()
        with browser.open(urllib.request.Request(form, data, {"Referer": form}), timeout=60) as page:
            place = urllib.parse.urlsplit(page.geturl()).path
    except urllib.error.HTTPError as error:
        raise ProofFailed(f"logging in as {login.username}: {error.url} answered {error.code}") from error
    if "login" in place or not any(cookie.name == "sessionid" for cookie in jar):
        raise ProofFailed(f"logging in as {login.username} led back to {place}: was the password changed?")
