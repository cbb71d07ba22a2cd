"""The fields of a design: what each may be, and which may change once shoppers take part."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email, validate_slug
from django.utils.dateparse import parse_datetime

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.experiments.models import BUCKETS, Correction, Experiment, ExperimentKind, Trigger, View
from apps.metrics.feeds import FEED_DAYS, metric_fed
from apps.metrics.units import unit_metrics

# Words that stand where an experiment's code would in the addresses of pages.
CODES_TAKEN = frozenset({"new", "files", "metrics", "peeking"})
PLANNED_DAYS = 14
EMAILS_MAX = 20
METRICS_MAX = 30
Parser = Callable[[str, Any], Any]


def _whole(low: int, high: int) -> Parser:
    def parse(field: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidInput(field=field, value=value, remedy=f"Give a whole number from {low} to {high}.")
        return value

    return parse


def _number(low: float, high: float) -> Parser:
    def parse(field: str, value: Any) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not low <= value <= high:
            raise InvalidInput(field=field, value=value, remedy=f"Give a number from {low:g} to {high:g}.")
        return float(value)

    return parse


def _text(least: int, most: int) -> Parser:
    def parse(field: str, value: Any) -> str:
        text = value.strip() if isinstance(value, str) else None
        if text is None or "\0" in text or not least <= len(text) <= most:
            raise InvalidInput(field=field, value=value, remedy=f"Write {least} to {most} characters.")
        return text

    return parse


def _choice(values: Sequence[str]) -> Parser:
    def parse(field: str, value: Any) -> str:
        if value not in values:
            raise InvalidInput(field=field, value=value, remedy=f"Choose one of {', '.join(values)}.")
        return str(value)

    return parse


def _truth(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(field=field, value=value, remedy="Give true or false.")
    return value


def _texts(field: str, value: Any, most: int) -> list[str]:
    good = isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)
    if not good or len(value) > most:
        raise InvalidInput(field=field, value=value, remedy=f"Give a list of at most {most} texts.")
    return list(dict.fromkeys(one.strip() for one in value))


def _ramp(field: str, value: Any) -> list[float]:
    share = _number(0.0001, 1)
    remedy = "Give rising shares above 0, up to 1, such as 0.01, 0.05, 0.1, 0.25, 0.5, 1."
    if not isinstance(value, list | tuple):
        raise InvalidInput(field=field, value=value, remedy=remedy)
    try:
        steps = [float(share(field, one)) for one in value]
    except InvalidInput as error:
        raise InvalidInput(field=field, value=value, remedy=remedy) from error
    if steps != sorted(set(steps)):
        raise InvalidInput(field=field, value=value, remedy=remedy)
    return steps


def _audience(field: str, value: Any) -> dict[str, Any]:
    """None and empty mean everybody."""
    if not isinstance(value, Mapping):
        raise InvalidInput(field=field, value=value, remedy="Give an object.")
    known = ("known", "history", "regions", "languages", "devices")
    for name in value:
        if name not in known:
            raise InvalidInput(field=f"{field}.{name}", value=name, remedy=f"Use {', '.join(known)}.")
    if value.get("known") not in (None, True, False):
        raise InvalidInput(field=f"{field}.known", value=value["known"], remedy="Give true, false or null.")
    history = value.get("history") or None
    if history not in (None, "new", "returning"):
        raise InvalidInput(field=f"{field}.history", value=history, remedy="Choose new, returning or null.")
    parts = {name: _texts(f"{field}.{name}", value.get(name) or [], 200) for name in known[2:]}
    return {"known": value.get("known"), "history": history, **parts}


def _metric(field: str, value: Any) -> str:
    known = unit_metrics()
    if not isinstance(value, str) or value not in known:
        raise InvalidInput(field=field, value=value, remedy=f"Choose one of {', '.join(known)}.")
    return value


def _metrics(field: str, value: Any) -> list[str]:
    return [_metric(field, code) for code in _texts(field, value, METRICS_MAX)]


def _guardrails(field: str, value: Any) -> list[dict[str, Any]]:
    remedy = 'Give a list of objects such as {"metric": "conversion", "margin": 0.02}.'
    if not isinstance(value, list | tuple) or len(value) > METRICS_MAX:
        raise InvalidInput(field=field, value=value, remedy=remedy)
    found = {}
    for one in value:
        if not isinstance(one, Mapping):
            raise InvalidInput(field=field, value=one, remedy=remedy)
        code = _metric(field, one.get("metric"))
        found[code] = {"metric": code, "margin": _number(0, 0.99)(f"{field}.{code}", one.get("margin", 0.0))}
    return list(found.values())


def _moment(field: str, value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        moment = parse_datetime(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidInput(field=field, value=value, remedy="Give a date and time with its time zone.")
    return moment


def _emails(field: str, value: Any) -> list[str]:
    found = _texts(field, value, EMAILS_MAX)
    for address in found:
        try:
            validate_email(address)
        except ValidationError as error:
            raise InvalidInput(field=field, value=address, remedy="Give e-mail addresses.") from error
    return found


def _address(field: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else None
    if text == "":
        return ""
    try:
        URLValidator(schemes=["http", "https"])(text)
    except ValidationError as error:
        remedy = "Give an address that starts with https:// or http://, or leave it empty."
        raise InvalidInput(field=field, value=value, remedy=remedy) from error
    assert text is not None
    if len(text) > 300:
        raise InvalidInput(field=field, value=value, remedy="Give an address of at most 300 characters.")
    return text


PARSERS: Mapping[str, Parser] = {
    "name": _text(1, 80),
    "hypothesis": _text(0, 4_000),
    "audience": _audience,
    "layer_from": _whole(0, BUCKETS - 1),
    "layer_to": _whole(1, BUCKETS),
    "traffic": _number(0.0001, 1),
    "ramp": _ramp,
    "ramp_hours": _whole(1, 24 * 28),
    "primary": _metric,
    "secondary": _metrics,
    "guardrails": _guardrails,
    "mde": _number(0.0001, 10),
    "alpha": _number(0.0001, 0.5),
    "power": _number(0.5, 0.9999),
    "correction": _choice(Correction.values),
    "view": _choice(View.values),
    "cuped": _truth,
    "triggered": _choice(Trigger.values),
    "min_days": _whole(1, 365),
    "min_units": _whole(1, 10_000_000),
    "planned_days": _whole(1, 730),
    "ends_at": _moment,
    "auto_rollback": _truth,
    "auto_ship": _truth,
    "webhook": _address,
    "emails": _emails,
    "slot_minutes": _whole(5, 7 * 24 * 60),
    "bandit_floor": _number(0.001, 0.5),
}
# What may change while shoppers take part, and after: none of it moves anybody or bends what is judged.
WHILE_OPEN = frozenset(
    {"name", "hypothesis", "emails", "webhook", "auto_rollback", "auto_ship", "ramp_hours", "ends_at"}
)
WHEN_ENDED = frozenset({"name", "hypothesis", "emails", "webhook"})


def code_parse(field: str, value: Any) -> str:
    """A code: letters, digits, hyphens and underscores, at most 40 of them. InvalidInput."""
    try:
        validate_slug(value)
    except ValidationError as error:
        remedy = "Use letters, digits, hyphens and underscores."
        raise InvalidInput(field=field, value=value, remedy=remedy) from error
    if len(str(value)) > 40:
        raise InvalidInput(field=field, value=value, remedy="Use at most 40 characters.")
    if field == "code" and value in CODES_TAKEN:
        raise InvalidInput(field=field, value=value, remedy="A page has this name. Choose another code.")
    return str(value)


def fields_take(experiment: Experiment, fields: Mapping[str, Any]) -> list[str]:
    """Put parsed fields on a draft (not saved), together checked; returns those that changed.
    InvalidInput.
    """
    changed = []
    for name, value in fields.items():
        if name not in PARSERS:
            raise InvalidInput(field=name, value=value, remedy=f"Change one of {', '.join(PARSERS)}.")
        if name == "planned_days" and value is None:
            value = max(PLANNED_DAYS, experiment.min_days)
        parsed = PARSERS[name](name, value)
        if parsed != getattr(experiment, name):
            setattr(experiment, name, parsed)
            changed.append(name)
    _together(experiment, fields)
    return changed


def _together(experiment: Experiment, fields: Mapping[str, Any]) -> None:
    if experiment.layer_from >= experiment.layer_to:
        remedy = "The slice must end after it begins."
        raise InvalidInput(field="layer_to", value=experiment.layer_to, remedy=remedy)
    if "ends_at" in fields:
        end_check(experiment)
    if experiment.primary in experiment.secondary:
        remedy = "It decides already: take it out of the secondary metrics."
        raise InvalidInput(field="secondary", value=experiment.primary, remedy=remedy)
    for one in experiment.guardrails:
        if one["metric"] == experiment.primary:
            remedy = "It decides already: take it out of the guardrails."
            raise InvalidInput(field="guardrails", value=one["metric"], remedy=remedy)
        if one["metric"] in experiment.secondary:
            remedy = "A guardrail is shown anyway: take it out of the secondary metrics."
            raise InvalidInput(field="guardrails", value=one["metric"], remedy=remedy)
    if experiment.kind == ExperimentKind.SWITCHBACK and (
        experiment.traffic != 1
        or experiment.ramp
        or (experiment.layer_from, experiment.layer_to) != (0, BUCKETS)
    ):
        remedy = "A switchback is for the whole shop: take all of the layer and all traffic, at once."
        raise InvalidInput(field="traffic", value=experiment.traffic, remedy=remedy)


def end_check(experiment: Experiment) -> None:
    """InvalidInput for an end that is over, or before the start."""
    end = experiment.ends_at
    if end is None:
        return
    if experiment.started_at is not None and end <= experiment.started_at:
        began = f"{experiment.started_at:%Y-%m-%d %H:%M} UTC"
        raise InvalidInput(field="ends_at", value=end, remedy=f"It began {began}: choose a later end.")
    if end <= clock.now():
        remedy = "It would end before it starts: choose a time to come, or none."
        raise InvalidInput(field="ends_at", value=end, remedy=remedy)


def primary_check(code: str) -> None:
    """InvalidInput for a primary metric that no event of the last days feeds."""
    if not metric_fed(code).fed:
        remedy = f"No event of the last {FEED_DAYS} days feeds it. Send its events, or choose another one."
        raise InvalidInput(field="primary", value=code, remedy=remedy)
