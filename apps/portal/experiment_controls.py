"""What can be done with an experiment from its page, and what each would change, in words."""

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.experiments.lifecycle import ramp_next
from apps.experiments.models import Experiment, ExperimentKind, ExperimentStatus
from apps.experiments.results import Analysis
from apps.experiments.selectors import publications_moved
from apps.merchandising.models import Publication
from apps.portal.experiment_page import is_shared
from apps.portal.templatetags.spoken import spoken
from apps.portal.words.experiments import percent_short, verdict_words

SHIP, ROLL_BACK, KEEP, UNDO, RAMP = "ship", "roll-back", "keep", "undo", "ramp"
DECISIONS = {SHIP: "ship", ROLL_BACK: "roll_back", KEEP: "keep_control"}
PAUSE, RESUME, END = "pause", "resume", "end"


@dataclass(frozen=True, slots=True)
class Control:
    """A button that opens a dialog. look: the button's classes."""

    what: str
    title: str
    icon: str
    look: str = ""


@dataclass(frozen=True)
class Ask:
    """A dialog before something is done. variants: to choose among; forced: only with a reason."""

    what: str
    title: str
    button: str
    look: str
    changes: list[str]
    warning: str = ""
    variants: list[tuple[str, str]] = field(default_factory=list)
    variant: str = ""
    forced: bool = False
    wants_note: bool = True


def _decidable(experiment: Experiment) -> bool:
    return experiment.status != ExperimentStatus.DRAFT and not experiment.decision


def controls_of(experiment: Experiment, analysis: Analysis | None) -> list[Control]:
    """The buttons for the present state; what the verdict advises is the primary one."""
    # Where every shopper sees all variants, the verdict on shoppers apart advises nothing.
    advised = analysis.verdict.action if analysis and not is_shared(experiment) else ""
    found = []
    if experiment.status == ExperimentStatus.RUNNING:
        if ramp_next(experiment) is not None:
            found.append(Control(RAMP, _("More traffic"), "trending_up"))
        found.append(Control(PAUSE, _("Pause"), "pause"))
    if experiment.status == ExperimentStatus.PAUSED:
        found.append(Control(RESUME, _("Go on"), "play_arrow", "rp-button-primary"))
    if experiment.is_open:
        found.append(Control(END, _("End"), "stop"))
    if _decidable(experiment):
        found.append(
            Control(
                ROLL_BACK, _("Roll it back"), "undo", _primary(advised == "roll_back", "rp-button-danger")
            )
        )
        found.append(Control(KEEP, _("Keep what is live"), "shield", _primary(advised == "keep_control")))
        if experiment.kind != ExperimentKind.HOLDOUT:
            found.append(Control(SHIP, _("Ship"), "rocket_launch", _primary(advised == "ship")))
    if experiment.status == ExperimentStatus.ENDED:
        found.append(Control(UNDO, _("Take it back"), "settings_backup_restore"))
    return found


def _primary(advised: bool, otherwise: str = "") -> str:
    return "rp-button-primary" if advised else otherwise


def ask_of(experiment: Experiment, what: str, analysis: Analysis | None) -> Ask | None:
    """The dialog of `what`; None where it can't be done in the present state."""
    if what in DECISIONS and not _decidable(experiment):
        return None
    match what:
        case "ship" if experiment.kind != ExperimentKind.HOLDOUT:
            return _ship(experiment, analysis)
        case "roll-back":
            return Ask(
                what,
                _("Roll back “%(name)s”?") % {"name": experiment.name},
                _("Roll it back"),
                "rp-button-danger",
                [*_over(experiment), _("Every shopper sees what is live, from their next request on.")],
            )
        case "keep":
            return Ask(
                what,
                _("Keep what is live?"),
                _("Keep it"),
                "rp-button-primary",
                [*_over(experiment), _("Nothing is published: what is live stays for everybody.")],
            )
        case "undo" if experiment.status == ExperimentStatus.ENDED:
            return _undo(experiment)
        case "ramp" if experiment.status == ExperimentStatus.RUNNING:
            return _ramp(experiment)
    return _run_ask(experiment, what)


def _run_ask(experiment: Experiment, what: str) -> Ask | None:
    """The dialogs that stop it for a while or for good, and start it again."""
    name = {"name": experiment.name}
    if what == PAUSE and experiment.status == ExperimentStatus.RUNNING:
        changes = [
            _("Every shopper sees what is live, from their next request on."),
            _("Variants, shares and the slice are kept: it can go on with everybody where they were."),
            _("Days that are paused teach nothing, and shoppers may notice the change."),
        ]
        return Ask(what, _("Pause “%(name)s”?") % name, _("Pause it"), "rp-button-primary", changes)
    if what == RESUME and experiment.status == ExperimentStatus.PAUSED:
        changes = [_("Everybody who took part gets the variant they had, from their next request on.")]
        return Ask(what, _("Go on with “%(name)s”?") % name, _("Go on"), "rp-button-primary", changes)
    if what == END and experiment.is_open:
        changes = [
            *_over(experiment),
            _("Every shopper sees what is live, from their next request on."),
            _("It stays undecided: what came in counts, and it can be decided later."),
        ]
        return Ask(what, _("End “%(name)s”?") % name, _("End it"), "rp-button-danger", changes)
    return None


def _over(experiment: Experiment) -> list[str]:
    if not experiment.is_open:
        return []
    return [_("The experiment ends, and its slice of the shoppers is free for another one.")]


def _ship(experiment: Experiment, analysis: Analysis | None) -> Ask:
    variants = [one for one in experiment.variants.all() if not one.is_control]
    advised = analysis.verdict.variant if analysis else ""
    chosen = advised if any(one.code == advised for one in variants) else ""
    chosen = chosen or (variants[0].code if variants else "")
    changes = [*_over(experiment), *_published(experiment)]
    if _pins(experiment):
        changes.append(
            _("The model versions it tried do not go live by this: promote them under Models, by hand.")
        )
    changes.append(_("It can be taken back from here while nobody publishes over it."))
    blocked = analysis is not None and _split_broken(analysis)
    return Ask(
        SHIP,
        _("Ship a variant of “%(name)s”?") % {"name": experiment.name},
        _("Ship all the same") if blocked else _("Ship it"),
        "rp-button-danger" if blocked else "rp-button-primary",
        changes,
        warning=_ship_warning(experiment, analysis),
        variants=[(one.code, one.name) for one in variants],
        variant=chosen,
        forced=blocked,
    )


def _published(experiment: Experiment) -> list[str]:
    places = [spoken(one.name) for one in experiment.placements.order_by("id")]
    if not places:
        return [_("No placement of ours changes: the storefront has to make the feature its own.")]
    words = _(
        "%(places)s: what the variant shows is published, and every shopper gets it from their next request."
    )
    said = [words % {"places": _(", ").join(places)}]
    moved = publications_moved(experiment=experiment)
    if moved:
        names = _(", ").join(spoken(place.name) for place, _was, _now in moved)
        said.append(
            _("Somebody published on %(places)s while it ran: shipping takes the place of that.")
            % {"places": names}
        )
    return said


def _pins(experiment: Experiment) -> bool:
    shown = Publication.objects.filter(pk__in=experiment.variants.values("publications__publication"))
    return shown.exclude(versions={}).exists()


def _split_broken(analysis: Analysis) -> bool:
    """Of all units, or within a segment."""
    return analysis.srm.alarm == "blocked" or analysis.verdict.action == "blocked"


def _ship_warning(experiment: Experiment, analysis: Analysis | None) -> str:
    if analysis is None:
        return _("Nothing has been counted yet: there is no reason to ship it.")
    if _split_broken(analysis):
        return _(
            "The split is broken, so nobody knows whether it is better. Say why you ship it all the same."
        )
    if analysis.verdict.action != "ship":
        names = {one.code: one.name for one in experiment.variants.all()}
        verdict = verdict_words(analysis.verdict.action, names.get(analysis.verdict.variant, ""))
        return _("The verdict so far is: %(verdict)s.") % {"verdict": verdict.words}
    return ""


def _undo(experiment: Experiment) -> Ask:
    changes = [_("The experiment is paused again if its slice is still free; go on with it by hand.")]
    if experiment.decision == "ship":
        changes.insert(0, _("What was live before is published again, on every placement it was shipped to."))
    if experiment.decision:
        changes.append(_("The decision is forgotten; the log keeps that it was made and taken back."))
    title = _("Take the decision back?") if experiment.decision else _("Take the end back?")
    return Ask(UNDO, title, _("Take it back"), "rp-button-primary", changes)


def _ramp(experiment: Experiment) -> Ask | None:
    share = ramp_next(experiment)
    if share is None:
        return None
    changes = [
        _("%(share)s of its traffic takes part instead of %(was)s.")
        % {"share": percent_short(share), "was": percent_short(experiment.traffic)},
        _("Nobody changes variants; traffic can't be lowered again, only paused."),
    ]
    return Ask(RAMP, _("More traffic?"), _("Take the step"), "rp-button-primary", changes, wants_note=False)
