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
from apps.merchandising.blends import DEFAULT_WEIGHTS, weights_parse
from apps.merchandising.models import Draft, Placement, PlacementKind, Publication
from apps.merchandising.rules import rules_dump, rules_parse
from apps.merchandising.selectors import blend_diff, publication_get, sources_known

PAGE_SIZE_MAX = 100
DEFAULT_PLACEMENTS: tuple[tuple[str, str, PlacementKind, str], ...] = (
    ("home", "Home page", PlacementKind.SHOPPER, "Products for this shopper."),
    ("product", "Product page", PlacementKind.ITEM, "Similar to and bought with the product shown."),
    ("cart", "Cart", PlacementKind.CART, "What completes the cart."),
    ("trending", "Trending", PlacementKind.TRENDING, "What sells more now than it used to."),
    ("new", "New arrivals", PlacementKind.NEW, "The newest products, those that suit the shopper first."),
)


def _placement_facts(placement: Placement) -> dict[str, Any]:
    return {
        "code": placement.code,
        "name": placement.name,
        "kind": placement.kind,
        "description": placement.description,
        "page_size": placement.page_size,
        "repeat_purchases": placement.repeat_purchases,
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
    size = placement.page_size
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= PAGE_SIZE_MAX:
        remedy = f"Give a whole number from 1 to {PAGE_SIZE_MAX}."
        raise InvalidInput(field="page_size", value=size, remedy=remedy)


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
    last = placement.publications.aggregate(last=Max("number"))["last"] or 0
    publication = Publication.objects.create(
        placement=placement,
        number=last + 1,
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
    description: str = "",
    page_size: int = 12,
    repeat_purchases: bool = False,
    weights: Mapping[str, float] | None = None,
    rules: Sequence[Mapping[str, Any]] = (),
    actor: User | None = None,
) -> Placement:
    """A new placement with its first publication (default weights of its kind unless given) and a draft."""
    placement = Placement(
        code=code,
        name=name.strip(),
        kind=kind,
        description=description.strip(),
        page_size=page_size,
        repeat_purchases=repeat_purchases,
    )
    _placement_check(placement)
    chosen = weights if weights is not None else DEFAULT_WEIGHTS[kind]
    parsed = weights_parse(chosen, sources=sources_known(), kind=kind)
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
    """Change name, description, page_size or repeat_purchases; live at once, like a publication."""
    allowed = ("name", "description", "page_size", "repeat_purchases")
    locked = placement_lock(placement)
    before = _placement_facts(locked)
    for name, value in changes.items():
        if name not in allowed:
            raise InvalidInput(field=name, value=value, remedy=f"Change one of {', '.join(allowed)}.")
        setattr(locked, name, value)
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
        description=placement.description,
        page_size=placement.page_size,
        repeat_purchases=placement.repeat_purchases,
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
    draft = _draft_lock(placement, None)
    untouched = live is not None and blend_diff(live.weights, live.rules, draft.weights, draft.rules).empty
    publication = _publication_add(
        placement,
        weights=earlier.weights,
        rules=earlier.rules,
        normalisation=earlier.normalisation,
        note=note,
        actor=actor,
        returned_to=earlier,
    )
    if untouched:
        _draft_fill(draft, publication, actor)
    _publication_audit("publication.return", publication, live, actor)
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
        if tuned is None or live is None or locked.publications.exclude(published_by=None).exists():
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
