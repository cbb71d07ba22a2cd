"""Why a product is not on a slate: the first gate that stopped it, in words."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.portal.context_bar import PageContext
from apps.portal.drafts import speaker
from apps.portal.lookups import titles
from apps.portal.slates import slate_request
from apps.portal.words.reasons import drop_words
from apps.portal.words.sources import source_name, sources_named
from apps.serving.explain import why_not as gates
from apps.serving.live import PublicationState


@dataclass(frozen=True, slots=True)
class Answer:
    """`here`: it is on the slate after all. `more`: what the sources think of it."""

    title: str
    here: bool
    words: str
    more: list[str]


def why_not(bar: PageContext, draft: PublicationState | None, sku: str) -> Answer:
    """Ask serving for the first gate, live or with a draft; InvalidInput for a product nobody knows."""
    found = gates(sku, slate_request(bar), draft)
    names = sources_named()
    other = str(found["params"].get("of_sku", ""))
    named = titles([sku, other])
    title = named.get(sku, sku)
    if found["shown"]:
        return Answer(title, True, _("It is here, at position %(n)s.") % {"n": found["position"]}, [])
    definition = found["definition"]
    params = {
        **found["params"],
        "of_title": named.get(other, other),
        "source_names": _(", ").join(source_name(code, names) for code in found["params"].get("sources", [])),
    }
    rule = speaker([definition]).rule(definition) if definition else ""
    more = [
        _("%(source)s: place %(rank)s in its list")
        % {"source": source_name(part["source"], names), "rank": part["rank"]}
        for part in found["parts"]
        if part["listed"]
    ]
    return Answer(title, False, drop_words(found["gate"], found["code"], rule, params), more)
