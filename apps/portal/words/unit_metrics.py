"""An experiment's metrics in words: what is counted for each shopper and how shoppers are put together."""

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.events.models import EventKind
from apps.metrics.units import Measure, UnitMetric
from apps.portal import formats

KIND_TITLES: dict[str, str | Promise] = {
    "proportion": gettext_lazy("Share of shoppers who did it at least once"),
    "mean": gettext_lazy("How much for each shopper"),
    "revenue": gettext_lazy("How much money for each shopper, the largest values capped"),
    "ratio": gettext_lazy("One thing divided by another"),
    "quantile": gettext_lazy("The middle (or another quantile) of those who have any"),
}
WORD_TITLES: dict[str, str | Promise] = {
    "event": gettext_lazy("Events"),
    "session": gettext_lazy("Sessions"),
    "session_bought": gettext_lazy("Sessions with a purchase"),
    "order": gettext_lazy("Orders"),
    "slate": gettext_lazy("Slates seen"),
    "slate_clicked": gettext_lazy("Slates clicked"),
    "item_seen": gettext_lazy("Products seen in slates"),
    "item_clicked": gettext_lazy("Products clicked in slates"),
}
VALUE_TITLES: dict[str, str | Promise] = {
    "count": gettext_lazy("how many"),
    "quantity": gettext_lazy("their quantity"),
    "amount": gettext_lazy("their amount of money, net of returns"),
    "margin": gettext_lazy("their margin"),
    "value": gettext_lazy("the number they carry, such as a rating"),
}
ROLE_WORDS: dict[str, str | Promise] = {
    "view": gettext_lazy("views of products"),
    "click": gettext_lazy("clicks on slates"),
    "seen": gettext_lazy("slates reported as seen"),
    "search": gettext_lazy("searches"),
    "cart": gettext_lazy("products put into the cart"),
    "purchase": gettext_lazy("purchases"),
    "return": gettext_lazy("returns"),
    "rating": gettext_lazy("ratings"),
    "like": gettext_lazy("likes"),
    "dislike": gettext_lazy("dislikes"),
    "other": gettext_lazy("other events"),
}
# Names of the built-in ones in few words are in `metrics.units`; these say what they tell.
ADVICE: dict[str, str | Promise] = {
    "conversion": gettext_lazy("A good one to decide by: steady, and every shopper counts once."),
    "revenue_per_shopper": gettext_lazy("What it is all for; it varies much, so it needs more shoppers."),
    "click_rate": gettext_lazy("Moves soonest; more clicks are not yet more sales."),
    "ctr": gettext_lazy("Moves soonest; more clicks are not yet more sales."),
    "return_rate": gettext_lazy("A good guardrail: cheap sales come back."),
    "sessions_per_shopper": gettext_lazy("A good guardrail: whether they come back."),
}


def measure_words(measure: Measure) -> str:
    """What is counted, as a noun: "purchases of Home > Mugs", "orders"."""
    if measure.of != "event":
        return _lower_first(str(WORD_TITLES[measure.of]))
    kind = EventKind.objects.filter(code=measure.kind).first() if measure.kind else None
    if measure.kind:
        what = _("events “%(kind)s”") % {"kind": kind.name if kind else measure.kind}
    else:
        what = str(ROLE_WORDS.get(measure.role, measure.role))
    limits = [one for one in (measure.category, measure.brand) if one]
    if limits:
        what = _("%(what)s of %(limits)s") % {"what": what, "limits": _(", ").join(limits)}
    if measure.attributed:
        what = _("%(what)s that follow a click on the slate") % {"what": what}
    match measure.value:
        case "quantity":
            return _("quantity of %(what)s") % {"what": what}
        case "amount":
            return _("amount of %(what)s, net of returns") % {"what": what}
        case "margin":
            return _("margin of %(what)s") % {"what": what}
        case "value":
            return _("numbers carried by %(what)s") % {"what": what}
    return what


def _lower_first(text: str) -> str:
    """A title as it stands within a sentence."""
    return text[:1].lower() + text[1:]


def metric_words(metric: UnitMetric) -> str:
    """What the metric is, in a sentence."""
    what = measure_words(metric.numerator)
    match metric.kind:
        case "proportion":
            said = _("Of the shoppers who took part, the share with at least one: %(what)s.") % {"what": what}
        case "ratio":
            below = measure_words(metric.denominator) if metric.denominator else ""
            what = capfirst(what)
            said = _("%(what)s divided by %(below)s, all shoppers together.") % {"what": what, "below": below}
        case "quantile":
            said = _("The %(point)s point of shoppers who have any: %(what)s.") % {
                "point": formats.percent(metric.quantile, 0),
                "what": what,
            }
        case _:
            said = _("For each shopper who took part: %(what)s.") % {"what": what}
    if metric.winsorise is not None:
        said += " " + _("Values above the %(point)s point of all positive ones count as that value.") % {
            "point": formats.percent(metric.winsorise, 0)
        }
    if metric.window_hours:
        said += " " + _("Only what happens within %(hours)s hours of the first slate.") % {
            "hours": formats.number(metric.window_hours)
        }
    return said
