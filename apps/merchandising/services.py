"""Writes: placements, drafts, publications. Nothing reaches shoppers but by publishing.

Serving processes notice a change within two seconds by looking at the placement rows (serving.live), so
nobody has to tell them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.validators import validate_slug
from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.merchandising.blends import weights_default, weights_parse
from apps.merchandising.models import Draft, Placement, PlacementKind, Publication, SeenAction
from apps.merchandising.rules import rules_dump, rules_parse
from apps.merchandising.selectors import blend_diff, publication_get, sources_known

PAGE_SIZE_MAX = 100
BOUGHT_DAYS_MAX = 3_650
SEEN_MINUTES_MAX = 14 * 24 * 60
DEFAULT_PLACEMENTS: tuple[tuple[str, str, PlacementKind, str], ...] = (
    ("home", "Home page", PlacementKind.SHOPPER, "Products for this shopper."),
    ("product", "Product page", PlacementKind.ITEM, "Similar to and bought with the product shown."),
    ("cart", "Cart", PlacementKind.CART, "What completes the cart."),
    ("trending", "Trending", PlacementKind.TRENDING, "What sells more now than it used to."),
    ("new", "New arrivals", PlacementKind.NEW, "The newest products, those that suit the shopper first."),
    ("together", "Bought together", PlacementKind.TOGETHER, "What others put into one basket with it."),
    ("viewed", "Because you viewed", PlacementKind.VIEWED, "What goes with what was looked at last."),
    ("again", "Buy again", PlacementKind.AGAIN, "What the shopper buys again and again, due ones first."),
    ("promotion", "On promotion", PlacementKind.PROMOTION, "Products whose price is down."),
    ("sponsored", "Sponsored", PlacementKind.SPONSORED, "Products sponsors pay for, marked as such."),
    ("category", "Category page", PlacementKind.CATEGORY, "A category's products, in this shopper's order."),
    ("search", "Search results", PlacementKind.SEARCH, "Found products, in this shopper's order."),
)
# Settings of a placement that may change later; code and kind stay, since the storefront relies on them.
SETTINGS = (
    "name",
    "description",
    "page_size",
    "repeat_purchases",
    "bought_days",
    "seen_action",
    "seen_minutes",
    "second_price",
    "trace_share",
)


def _placement_facts(placement: Placement) -> dict[str, Any]:
    return {
        "code": placement.code,
        "kind": placement.kind,
        **{name: getattr(placement, name) for name in SETTINGS},
        "archived_at": placement.archived_at.isoformat() if placement.archived_at else None,
    }


def _placement_check(placement: Placement) -> None:
    try:
        validate_slug(placement.code)
    except Exception as error:
        remedy = "Use letters, digits, hyphens and underscores."
        raise InvalidInput(field="code", value=placement.code, remedy=remedy) from error
    if len(placement.code) > 40:
        raise InvalidInput(field="code", value=placement.code, remedy="Use at most 40 characters.")
    if not 1 <= len(placement.name.strip()) <= 80:
        raise InvalidInput(field="name", value=placement.name, remedy="Give a name of 1 to 80 characters.")
    if placement.kind not in PlacementKind.values:
        kinds = ", ".join(PlacementKind.values)
        raise InvalidInput(field="kind", value=placement.kind, remedy=f"Choose one of {kinds}.")
    if len(placement.description) > 300:
        raise InvalidInput(
            field="description", value=placement.description, remedy="Use at most 300 letters."
        )
    if placement.seen_action not in SeenAction.values:
        actions = ", ".join(SeenAction.values)
        value = placement.seen_action
        raise InvalidInput(field="seen_action", value=value, remedy=f"Choose one of {actions}.")
    _whole_check("page_size", placement.page_size, 1, PAGE_SIZE_MAX)
    _whole_check("seen_minutes", placement.seen_minutes, 1, SEEN_MINUTES_MAX)
    if placement.bought_days is not None:
        _whole_check("bought_days", placement.bought_days, 1, BOUGHT_DAYS_MAX)
    share = placement.trace_share
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InvalidInput(field="trace_share", value=share, remedy="Give a number from 0 to 1.")


def _whole_check(field: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(field=field, value=value, remedy=f"Give a whole number from {low} to {high}.")


def _settings_take(placement: Placement, settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if name not in SETTINGS:
            raise InvalidInput(field=name, value=value, remedy=f"Change one of {', '.join(SETTINGS)}.")
        setattr(placement, name, value.strip() if isinstance(value, str) else value)


def _audit(
    actor: User | None,
    verb: str,
    placement: Placement,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    reason: str = "",
) -> None:
    audit_record(
        actor=actor,
        verb=verb,
        object_type="placement",
        object_id=placement.pk,
        object_label=placement.code,
        before=before,
        after=after,
        reason=reason,
    )


def placement_lock(placement: Placement) -> Placement:
    """The placement's row, locked until the transaction ends; all writers take it first."""
    return Placement.objects.select_for_update(of=("self",)).get(pk=placement.pk)


def publication_number_next(placement: Placement) -> int:
    """The number the next publication gets. Hold `placement_lock`."""
    return (placement.publications.aggregate(last=Max("number"))["last"] or 0) + 1


def _publication_add(
    placement: Placement,
    *,
    weights: Mapping[str, float],
    rules: Sequence[Mapping[str, Any]],
    normalisation: str,
    note: str,
    actor: User | None,
    returned_to: Publication | None = None,
) -> Publication:
    publication = Publication.objects.create(
        placement=placement,
        number=publication_number_next(placement),
        weights=dict(weights),
        normalisation=normalisation,
        rules=list(rules),
        note=note.strip()[:300],
        returned_to=returned_to,
        published_at=clock.now(),
        published_by=actor,
    )
    placement.live_publication = publication
    placement.save(update_fields=["live_publication", "updated_at"])
    return publication


@transaction.atomic
def placement_create(
    *,
    code: str,
    name: str,
    kind: str,
    weights: Mapping[str, float] | None = None,
    rules: Sequence[Mapping[str, Any]] = (),
    actor: User | None = None,
    **settings: Any,
) -> Placement:
    """A new placement with its first publication (default weights of its kind unless given) and a draft.

    settings: any of SETTINGS.
    """
    placement = Placement(code=code, name=name.strip(), kind=kind)
    _settings_take(placement, settings)
    _placement_check(placement)
    sources = sources_known()
    chosen = weights if weights is not None else weights_default(kind=kind, sources=sources)
    parsed = weights_parse(chosen, sources=sources, kind=kind)
    dumped = rules_dump(rules_parse(list(rules)))
    try:
        with transaction.atomic():
            placement.save()
    except IntegrityError as error:
        raise Conflict(f"There is a placement {code!r} already. Choose another code.") from error
    _publication_add(placement, weights=parsed, rules=dumped, normalisation="z", note="", actor=actor)
    Draft.objects.create(placement=placement, weights=parsed, rules=dumped, updated_by=actor)
    _audit(actor, "placement.create", placement, None, _placement_facts(placement))
    return placement


@transaction.atomic
def placement_update(*, placement: Placement, actor: User | None = None, **changes: Any) -> Placement:
    """Change any of SETTINGS; live at once, like a publication."""
    locked = placement_lock(placement)
    before = _placement_facts(locked)
    _settings_take(locked, changes)
    _placement_check(locked)
    locked.save()
    if _placement_facts(locked) != before:
        _audit(actor, "placement.update", locked, before, _placement_facts(locked))
    return locked


@transaction.atomic
def placement_clone(*, placement: Placement, code: str, name: str, actor: User | None = None) -> Placement:
    """A new placement that starts with this one's live weights and rules."""
    live = placement.live_publication
    copy = placement_create(
        code=code,
        name=name,
        kind=placement.kind,
        **{setting: getattr(placement, setting) for setting in SETTINGS if setting != "name"},
        weights=live.weights if live else None,
        rules=live.rules if live else (),
        actor=actor,
    )
    return copy


@transaction.atomic
def placement_archive(*, placement: Placement, actor: User | None = None) -> Placement:
    """Stop serving a placement; its history stays. `placement_restore` undoes it."""
    locked = placement_lock(placement)
    if locked.archived_at is None:
        before = _placement_facts(locked)
        locked.archived_at = clock.now()
        locked.save(update_fields=["archived_at", "updated_at"])
        _audit(actor, "placement.archive", locked, before, _placement_facts(locked))
    return locked


@transaction.atomic
def placement_restore(*, placement: Placement, actor: User | None = None) -> Placement:
    """Serve an archived placement again."""
    locked = placement_lock(placement)
    if locked.archived_at is not None:
        before = _placement_facts(locked)
        locked.archived_at = None
        locked.save(update_fields=["archived_at", "updated_at"])
        _audit(actor, "placement.restore", locked, before, _placement_facts(locked))
    return locked


def _draft_lock(placement: Placement, revision: int | None) -> Draft:
    """The draft, locked; Conflict when somebody saved since `revision` (None: no matter)."""
    Draft.objects.get_or_create(placement=placement)
    draft = Draft.objects.select_for_update(of=("self",)).get(placement=placement)
    if revision is not None and draft.revision != revision:
        name = draft.updated_by.get_username() if draft.updated_by else "somebody"
        raise Conflict(
            f"{name} changed this draft meanwhile (revision {draft.revision}, yours is from {revision}). "
            "Nothing was overwritten: look at the present draft, then save yours again."
        )
    return draft


@transaction.atomic
def draft_save(
    *,
    placement: Placement,
    revision: int,
    weights: Mapping[str, float] | None = None,
    rules: Sequence[Any] | None = None,
    actor: User | None = None,
) -> Draft:
    """Keep weights and/or rules (JSON shape); None leaves that part. Raises Conflict when `revision` is no
    longer the draft's, InvalidInput for what can't be published.
    """
    placement = placement_lock(placement)
    draft = _draft_lock(placement, revision)
    if weights is not None:
        draft.weights = weights_parse(weights, sources=sources_known(), kind=placement.kind)
    if rules is not None:
        draft.rules = rules_dump(rules_parse(rules))
    draft.revision += 1
    draft.updated_by = actor
    draft.save()
    return draft


@transaction.atomic
def draft_reset(*, placement: Placement, revision: int, actor: User | None = None) -> Draft:
    """Make the draft what is live."""
    placement = placement_lock(placement)
    draft = _draft_lock(placement, revision)
    live = placement.live_publication
    if live is not None:
        _draft_fill(draft, live, actor)
    return draft


def _draft_fill(draft: Draft, publication: Publication, actor: User | None) -> None:
    draft.weights, draft.rules = publication.weights, publication.rules
    draft.revision += 1
    draft.updated_by = actor
    draft.save()


@transaction.atomic
def publication_publish(
    *, placement: Placement, revision: int | None = None, note: str = "", actor: User | None = None
) -> Publication:
    """Make the draft the next numbered publication and live. Conflict when the draft is no longer the
    revision that was looked at, or changes nothing.
    """
    placement = placement_lock(placement)
    draft = _draft_lock(placement, revision)
    live = placement.live_publication
    if live is not None and blend_diff(live.weights, live.rules, draft.weights, draft.rules).empty:
        raise Conflict(f"The draft of {placement.code!r} equals what is live; there is nothing to publish.")
    publication = _publication_add(
        placement,
        weights=weights_parse(draft.weights, sources=sources_known(), kind=placement.kind),
        rules=rules_dump(rules_parse(draft.rules)),
        normalisation=live.normalisation if live else "z",
        note=note,
        actor=actor,
    )
    _publication_audit("publication.publish", publication, live, actor)
    return publication


@transaction.atomic
def publication_return(
    *, placement: Placement, number: int, note: str = "", actor: User | None = None
) -> Publication:
    """Bring an earlier publication back, as a new one. A draft without unpublished work follows; other
    drafts are left alone.
    """
    placement = placement_lock(placement)
    earlier = publication_get(placement=placement, number=number)
    live = placement.live_publication
    if live is not None and live.pk == earlier.pk:
        raise Conflict(f"Publication {number} of {placement.code!r} is live already.")
    if earlier.trial:
        raise Conflict(
            f"Publication {number} of {placement.code!r} was made for an experiment and was never live by "
            "itself. Ship it from its experiment, or put its weights into the draft and publish that."
        )
    return _publication_copy(
        placement, earlier, note=note, actor=actor, returned_to=earlier, verb="publication.return"
    )


@transaction.atomic
def publication_ship(
    *, placement: Placement, number: int, note: str, page_size: int | None = None, actor: User | None = None
) -> Publication:
    """Make what an experiment tried live, as a new publication; `page_size` becomes the placement's.

    A draft without unpublished work follows. Model versions the trial pinned are not promoted: that is a
    choice of its own.
    """
    placement = placement_lock(placement)
    trial = publication_get(placement=placement, number=number)
    if page_size is not None and page_size != placement.page_size:
        placement = placement_update(placement=placement, page_size=page_size, actor=actor)
    return _publication_copy(placement, trial, note=note, actor=actor, verb="publication.ship")


def _publication_copy(
    placement: Placement,
    original: Publication,
    *,
    note: str,
    actor: User | None,
    verb: str,
    returned_to: Publication | None = None,
) -> Publication:
    """A new live publication with another's blend and rules. A draft without unpublished work follows."""
    live = placement.live_publication
    draft = _draft_lock(placement, None)
    untouched = live is not None and blend_diff(live.weights, live.rules, draft.weights, draft.rules).empty
    publication = _publication_add(
        placement,
        weights=original.weights,
        rules=original.rules,
        normalisation=original.normalisation,
        note=note,
        actor=actor,
        returned_to=returned_to,
    )
    if untouched:
        _draft_fill(draft, publication, actor)
    _publication_audit(verb, publication, live, actor)
    return publication


def _publication_facts(publication: Publication) -> dict[str, Any]:
    return {
        "number": publication.number,
        "weights": publication.weights,
        "normalisation": publication.normalisation,
        "rules": publication.rules,
    }


def _publication_audit(
    verb: str, publication: Publication, live: Publication | None, actor: User | None
) -> None:
    audit_record(
        actor=actor,
        verb=verb,
        object_type="publication",
        object_id=publication.pk,
        object_label=str(publication),
        before=_publication_facts(live) if live else None,
        after=_publication_facts(publication),
        reason=publication.note,
    )


@transaction.atomic
def placements_ensure(*, actor: User | None = None) -> list[Placement]:
    """Make the default placements that do not exist yet (archived ones exist); returns the new ones."""
    existing = set(Placement.objects.values_list("code", flat=True))
    return [
        placement_create(code=code, name=name, kind=kind, description=description, actor=actor)
        for code, name, kind, description in DEFAULT_PLACEMENTS
        if code not in existing
    ]


def _published_by_hand(placement: Placement) -> bool:
    return placement.publications.exclude(trial=True).exclude(published_by=None).exists()


@transaction.atomic
def weights_default_set(
    *,
    weights: Mapping[str, float],
    weights_repeat: Mapping[str, float] | None = None,
    note: str = "",
    actor: User | None = None,
) -> list[Publication]:
    """Publish tuned weights on the shopper placements that no person has published on yet.

    weights_repeat: tuned on lists with what was bought before, for placements that show it again; without
    them those keep what they have. A merchandiser's choice is never overwritten. Drafts follow where they
    hold no unpublished work.
    """
    published = []
    for placement in Placement.objects.filter(kind=PlacementKind.SHOPPER, archived_at=None).order_by("id"):
        locked = placement_lock(placement)
        live = locked.live_publication
        tuned = weights_repeat if locked.repeat_purchases else weights
        if tuned is None or live is None or _published_by_hand(locked):
            continue
        parsed = weights_parse(tuned, sources=sources_known(), kind=locked.kind)
        draft = _draft_lock(locked, None)
        if parsed == live.weights:
            continue
        untouched = blend_diff(live.weights, live.rules, draft.weights, draft.rules).empty
        publication = _publication_add(
            locked, weights=parsed, rules=live.rules, normalisation="z", note=note, actor=None
        )
        if untouched:
            _draft_fill(draft, publication, None)
        _publication_audit("publication.default", publication, live, actor)
        published.append(publication)
    return published
