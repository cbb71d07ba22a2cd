"""What a slate is laid beside in Inspect: the draft, a publication, or one model alone."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.core.errors import NotFound
from apps.merchandising.models import Placement
from apps.merchandising.selectors import publication_get
from apps.portal.drafts import unpublished
from apps.portal.words.sources import sources_live, sources_named
from apps.serving.live import PublicationState, publication_preview

DRAFT, PUBLICATION, SOURCE = "draft", "publication:", "source:"
OFFERED = 12


@dataclass(frozen=True, slots=True)
class Versus:
    """A second slate's recipe and what it is called."""

    title: str
    state: PublicationState


def versus_of(placement: Placement, asked: str) -> Versus | None:
    """What `asked` names; None for nothing, and for what is not there (a link may be old)."""
    if asked == DRAFT:
        return Versus(_("Draft"), unpublished(placement))
    number = asked.removeprefix(PUBLICATION)
    if asked.startswith(PUBLICATION) and number.isdecimal() and len(number) < 10:
        try:
            found = publication_get(placement=placement, number=int(number))
        except NotFound:
            return None
        state = publication_preview(
            weights=found.weights, rules=found.rules, normalisation=found.normalisation,
            page_size=found.page_size, versions=found.versions,
        )  # fmt: skip
        return Versus(_("Publication %(number)s") % {"number": found.number}, state)
    code = asked.removeprefix(SOURCE)
    if asked.startswith(SOURCE) and code in sources_live():
        live = placement.live_publication
        # With the rules of live: what differs is the model's alone.
        state = publication_preview(weights={code: 1.0}, rules=live.rules if live else [])
        return Versus(_("%(source)s alone") % {"source": sources_named()[code].name}, state)
    return None


def versus_offered(placement: Placement) -> list[tuple[str, list[tuple[str, str]]]]:
    """What may be chosen, in groups of (value, words)."""
    live = placement.live_publication
    earlier = placement.publications.filter(trial=False).order_by("-number")
    numbers = earlier.values_list("number", flat=True)[: OFFERED + 1]
    publications = [
        (f"{PUBLICATION}{number}", _("Publication %(number)s") % {"number": number})
        for number in numbers
        if live is None or number != live.number
    ]
    ready = sources_live()
    sources = [(f"{SOURCE}{code}", one.name) for code, one in sources_named().items() if code in ready]
    groups = [
        ("", [(DRAFT, _("Draft"))]),
        (_("Earlier publications"), publications[:OFFERED]),
        (_("One model alone"), sources),
    ]
    return [(title, choices) for title, choices in groups if choices]
