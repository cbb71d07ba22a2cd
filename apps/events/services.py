"""Writes of events, exposures and event kinds. Everything is set-based and can be repeated."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pandas as pd
from django.db import connection, transaction
from django.db.models import Q

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound, RowError
from apps.core.models import row_check
from apps.events.bots import agent_is_bot
from apps.events.exposures import ExposureRow
from apps.events.frames import frame_check
from apps.events.inbox import Batch, batch_append
from apps.events.ingest import frame_store, key_days, key_horizon, lines_store
from apps.events.kinds import kinds_by_code, kinds_forget
from apps.events.lines import lines_of
from apps.events.models import EventKey, EventKind, EventRole, ImportReport, Shopper
from apps.events.partitions import month_of, partitions_make
from apps.events.stream import stream
from apps.events.upserts import review_upsert_many as review_upsert_many
from apps.events.upserts import shopper_upsert_many as shopper_upsert_many
from apps.events.validation import EPOCH, EventRules, RecordResult, events_check

Progress = Callable[[float, str], None]
CHUNK_ROWS = 100_000
EXPOSURE_CHUNK = 2_000
MAX_WEIGHT = 1_000.0
# A clock this little off is as good as ours.
SKEW = timedelta(seconds=5)
EXPOSURE_UNSEEN = """
WHERE NOT EXISTS (
    SELECT FROM events_exposure e WHERE e.request_id = s.request_id AND e.served_at = s.served_at)
"""
EXPOSURES_INSERT = """
INSERT INTO events_exposure
    (served_at, request_id, placement, shopper_id, session, product_ids, sources, propensities,
     publication_id, experiment_id, variant, model_version_ids, rung, query, context)
SELECT served_at, request_id, placement, shopper_id, session, product_ids, sources, propensities,
       publication_id, experiment_id, variant, model_version_ids, rung, query, context
FROM json_to_recordset(%s::json) AS s(
    served_at timestamptz, request_id uuid, placement text, shopper_id bigint, session text,
    product_ids bigint[], sources text[], propensities double precision[], publication_id bigint,
    experiment_id bigint, variant text, model_version_ids bigint[], rung text, query text, context jsonb)
"""


def event_record_rows(*, rows: Sequence[Any], source: str, historic: bool = False) -> RecordResult:
    """Store a small batch of events (up to about a thousand dicts, fields as in the API), each exactly once.

    Bad ones are refused one by one (`line` is the place in `rows`, from 0) and do not touch the others.
    Events older than the key horizon are refused unless `historic`.
    """
    now = clock.now()
    oldest = EPOCH if historic else key_horizon(now)
    checked = events_check(rows=rows, rules=EventRules(kinds=kinds_by_code(), now=now, oldest=oldest))
    with transaction.atomic():
        repeats = lines_store(lines=lines_of(checked.good, received_at=now, source=source), now=now)
    return checked.result(repeats)


def event_accept_rows(
    *, rows: Sequence[Any], source: str, agent: str = "", sent_at: datetime | None = None
) -> RecordResult:
    """Check a small batch and keep it in the inbox; the good ones then survive the death of any process.

    agent: the sender's User-Agent; a crawler's events are marked. sent_at: the sender's clock when it sent;
    where that is more than SKEW off, its moments are corrected by the difference. A repeat that only Postgres
    can recognise counts as accepted, and is stored once. Raises ServiceUnavailable when no inbox takes them.
    """
    now = clock.now()
    ahead = sent_at - now if sent_at else timedelta(0)
    if abs(ahead) < SKEW:
        ahead = timedelta(0)
    rules = EventRules(
        kinds=kinds_by_code(), now=now, oldest=key_horizon(now), ahead=ahead, bot=agent_is_bot(agent)
    )
    checked = events_check(rows=rows, rules=rules)
    if any(error.field == "kind" for error in checked.rejected):  # perhaps a new kind
        checked = events_check(rows=rows, rules=replace(rules, kinds=kinds_by_code(at_once=True)))
    batch = Batch(
        ids=[row["client_event_id"] for row in checked.good],
        lines=lines_of(checked.good, received_at=now, source=source),
    )
    return checked.result(batch_append(batch))


def event_record_many(
    *, frame: pd.DataFrame, source: str, on_progress: Progress | None = None
) -> RecordResult:
    """Store a frame of events of any size and age, each exactly once.

    Columns: kind (code) and client_event_id, and any of occurred_at (aware), shopper, sku, quantity, price,
    session, channel, value, request_id, query, context (dict), bot, line (named in refusals; else the row's
    place from 0). Works in transactions of CHUNK_ROWS rows: what is stored stays stored when a later chunk
    fails, and the frame can simply be given again. `on_progress(fraction, message)` may raise to stop
    between chunks.
    """
    accepted = duplicates = 0
    rejected: list[RowError] = []
    total = max(len(frame), 1)
    for start in range(0, len(frame), CHUNK_ROWS):
        now = clock.now()
        rules = EventRules(kinds=kinds_by_code(), now=now)
        good, errors = frame_check(
            frame=frame.iloc[start : start + CHUNK_ROWS], rules=rules, first_line=start
        )
        rejected += errors
        distinct = good.drop_duplicates("client_event_id")
        with transaction.atomic():
            stored = frame_store(frame=distinct, source=source, now=now)
        accepted += stored
        duplicates += len(good) - stored
        if on_progress:
            done = min(start + CHUNK_ROWS, total)
            on_progress(done / total, f"{done:,} / {total:,}")
    return RecordResult(accepted=accepted, duplicates=duplicates, rejected=rejected)


def exposure_record_many(
    *, exposures: Sequence[ExposureRow], durable: bool = True, each_once: bool = False
) -> int:
    """Store served slates by multi-row inserts; returns how many there were. each_once: some may be stored.

    `durable=False` does not wait for the disk: a crash of the database server may lose the last fraction of a
    second of exposures (never corrupts), which a hot path may prefer to waiting.
    """
    partitions_make(months={month_of(row.served_at) for row in exposures}, tables=["events_exposure"])
    with transaction.atomic(), connection.cursor() as cursor:
        if not durable:
            cursor.execute("SET LOCAL synchronous_commit = off")
        for start in range(0, len(exposures), EXPOSURE_CHUNK):
            chunk = list(exposures[start : start + EXPOSURE_CHUNK])
            encoded = orjson.dumps(chunk, default=list, option=orjson.OPT_SERIALIZE_NUMPY)
            unseen = EXPOSURE_UNSEEN if each_once else ""
            cursor.execute(EXPOSURES_INSERT + unseen, [encoded.decode()])
    return len(exposures)


def exposures_add_to_stream(*, exposures: Sequence[ExposureRow]) -> None:
    """Leave served slates to the consumer while Postgres can't take them; raises stream.InboxAway."""
    for start in range(0, len(exposures), EXPOSURE_CHUNK):
        chunk = list(exposures[start : start + EXPOSURE_CHUNK])
        stream().exposures_add(orjson.dumps(chunk, default=list, option=orjson.OPT_SERIALIZE_NUMPY))


@transaction.atomic
def exposure_rows_drain(*, rows: bytes) -> None:
    """Store served slates from the stream (a JSON array), each once: known by request and moment."""
    distinct = {row["request_id"]: row for row in orjson.loads(rows)}
    moments = [datetime.fromisoformat(row["served_at"]) for row in distinct.values()]
    partitions_make(months={month_of(moment) for moment in moments}, tables=["events_exposure"])
    with connection.cursor() as cursor:
        cursor.execute(EXPOSURES_INSERT + EXPOSURE_UNSEEN, [orjson.dumps(list(distinct.values())).decode()])


@transaction.atomic
def event_keys_prune(*, now: datetime | None = None) -> int:
    """Forget event ids past the key horizon (a day later: no event falls between); returns how many."""
    limit = (now or clock.now()) - timedelta(days=key_days() + 1)
    deleted, _by_model = EventKey.objects.filter(occurred_at__lt=limit).delete()
    return deleted


@transaction.atomic
def event_kind_save(
    *,
    code: str,
    name: str,
    role: str,
    weight: float,
    active: bool = True,
    actor: User | None = None,
    kind_id: int | None = None,
) -> EventKind:
    """Add an event kind, or change the one with `kind_id`. Code and role of a built-in kind stay."""
    if role not in EventRole.values:
        raise InvalidInput(field="role", value=role, remedy=f"Choose one of {', '.join(EventRole.values)}.")
    if not -MAX_WEIGHT <= weight <= MAX_WEIGHT:  # also refuses nan
        raise InvalidInput(field="weight", value=weight, remedy=f"Choose a number up to {MAX_WEIGHT:g}.")
    kind = EventKind.objects.select_for_update().filter(pk=kind_id).first() if kind_id else EventKind()
    if kind is None:
        raise NotFound(f"There is no event kind {kind_id}.")
    if EventKind.objects.filter(Q(code=code) & ~Q(pk=kind.pk)).exists():
        raise Conflict(f"There is an event kind {code!r} already. Choose another code.")
    if kind.built_in and (kind.code, kind.role) != (code, role):
        raise Conflict("Code and role of a built-in event kind can't be changed. Add a kind of your own.")
    before = _kind_facts(kind) if kind.pk else None
    kind.code, kind.name, kind.role, kind.weight, kind.active = code, name, role, weight, active
    row_check(kind)
    kind.save()
    audit_record(
        actor=actor,
        verb="event_kind.save",
        object_type="event_kind",
        object_id=kind.pk,
        object_label=name,
        before=before,
        after=_kind_facts(kind),
    )
    kinds_forget()
    transaction.on_commit(kinds_forget)
    return kind


@transaction.atomic
def shopper_opt_out_set(*, external_id: str, opted_out: bool, actor: User | None) -> Shopper:
    """Note whether the shopper wants nothing personal, for every id they are known by."""
    known = Shopper.objects.filter(external_id=external_id).first()
    if known is None:
        raise NotFound("There is no such shopper.")
    person = known.merged_into_id or known.pk
    everyone = list(
        Shopper.objects.select_for_update(of=("self",))
        .filter(Q(pk=person) | Q(merged_into_id=person))
        .order_by("pk")
    )
    shopper = next(one for one in everyone if one.pk == person)
    before = any(one.opted_out for one in everyone)
    if before == opted_out:
        return shopper
    Shopper.objects.filter(pk__in=[one.pk for one in everyone]).update(opted_out=opted_out)
    audit_record(
        actor=actor,
        verb="shopper.opt_out" if opted_out else "shopper.opt_in",
        object_type="shopper",
        object_id=person,
        object_label=shopper.external_id,
        before={"opted_out": before},
        after={"opted_out": opted_out},
    )
    shopper.opted_out = opted_out
    return shopper


def _kind_facts(kind: EventKind) -> dict[str, Any]:
    return {
        "code": kind.code,
        "name": kind.name,
        "role": kind.role,
        "weight": kind.weight,
        "active": kind.active,
    }


def import_report_add(
    *,
    name: str,
    counts: dict[str, int],
    skipped: dict[str, int],
    seconds: float,
    path: str = "",
    report_path: str = "",
) -> ImportReport:
    """Remember what a bulk import took in (rows, products, shoppers, interactions) and skipped, by reason."""
    return ImportReport.objects.create(
        name=name, path=path, counts=counts, skipped=skipped, report_path=report_path, seconds=seconds
    )
