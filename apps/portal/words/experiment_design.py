"""What can be tested and the design's steps, in the merchandiser's words. States: `words.experiments`."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

BLEND, RULE, VERSION, PAGE_SIZE, FEATURE = "blend", "rule", "version", "page_size", "feature"
BANDIT, INTERLEAVING, SWITCHBACK, HOLDOUT = "bandit", "interleaving", "switchback", "holdout"


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of test to start from. `kind`: the experiment's; `opens`: the part of a variant it is about."""

    code: str
    icon: str
    title: str | Promise
    summary: str | Promise
    kind: str = "ab"
    opens: str = ""


TEMPLATES: dict[str, Template] = {
    one.code: one
    for one in (
        Template(
            BLEND,
            "tune",
            _("Other weights"),
            _("The same placement with other weights for its sources, such as more taste, less popularity."),
            opens="weights",
        ),
        Template(
            RULE,
            "rule",
            _("A rule"),
            _("With a pin, boost or filter and without it: what the rule is really worth."),
            opens="rules",
        ),
        Template(
            VERSION,
            "model_training",
            _("A model version"),
            _("A newer version of a model against the live one, before it is promoted."),
            opens="versions",
        ),
        Template(
            PAGE_SIZE,
            "view_module",
            _("How many products"),
            _("More or fewer products in the slate."),
            opens="page_size",
        ),
        Template(
            INTERLEAVING,
            "shuffle",
            _("Interleaving"),
            _(
                "Two rankings dealt into one slate, like two captains choosing teams. It tells which ranking "
                "is clicked more with far fewer shoppers, and nothing about revenue."
            ),
            kind="interleaving",
            opens="weights",
        ),
        Template(
            BANDIT,
            "auto_graph",
            _("Bandit"),
            _("Traffic moves to what works while it runs. Less is lost on the way, and less is learned."),
            kind="bandit",
            opens="weights",
        ),
        Template(
            SWITCHBACK,
            "swap_horiz",
            _("Switchback"),
            _(
                "The whole shop switches between variants by the clock, for changes that shoppers would "
                "notice from each other."
            ),
            kind="switchback",
            opens="weights",
        ),
        Template(
            HOLDOUT,
            "pan_tool",
            _("Holdout"),
            _("A small share keeps an unchanged shop for months: what all your work is worth together."),
            kind="holdout",
        ),
        Template(
            FEATURE,
            "extension",
            _("A feature of the storefront"),
            _("No placement of ours: the storefront asks which variant a shopper has and shows its own."),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the design."""

    code: str
    title: str | Promise
    lead: str | Promise


STEPS: tuple[Step, ...] = (
    Step("idea", _("Idea"), _("What do you believe, and what would show it?")),
    Step(
        "variants",
        _("Variants"),
        _("Where it happens and what each group gets. Control is always what is live when you launch."),
    ),
    Step("audience", _("Audience"), _("Who takes part, and how carefully it starts.")),
    Step(
        "metrics",
        _("Metrics"),
        _("What decides, what must not suffer, and how long it takes to see."),
    ),
    Step("check", _("Check and launch"), _("What would spoil the result is found now, not in four weeks.")),
)
STEP_CODES = tuple(step.code for step in STEPS)
