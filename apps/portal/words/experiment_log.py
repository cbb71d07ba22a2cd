"""What happened to an experiment, a sentence for each entry of its log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.experiments.models import Experiment, ExperimentEvent
from apps.experiments.results import Note
from apps.experiments.selectors import experiment_log_list
from apps.portal import formats
from apps.portal.experiment_results import Faces
from apps.portal.words.experiments import note_words, percent_short

TONES = {
    "launched": "good", "shipped": "good", "resumed": "good",
    "paused": "bad", "rolled_back": "bad", "guardrail_failed": "bad",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry: when, who ("" for nobody), the sentence, and finer points under it."""

    at: datetime
    actor: str
    words: str
    tone: str = ""
    details: list[str] = field(default_factory=list)


def log_lines(experiment: Experiment, faces: Faces) -> list[LogLine]:
    """All entries, the latest first."""
    return [_line(one, faces) for one in experiment_log_list(experiment=experiment)]


def _line(event: ExperimentEvent, faces: Faces) -> LogLine:
    facts = event.details
    details = [_("“%(note)s”") % {"note": facts["note"]}] if facts.get("note") else []
    return LogLine(
        at=event.at,
        actor=event.actor.get_username() if event.actor else "",
        words=event_words(event.kind, facts, faces),
        tone=TONES.get(event.kind, ""),
        details=[*_details(event.kind, facts, faces), *details],
    )


def event_words(kind: str, facts: Mapping[str, Any], faces: Faces) -> str:
    """The sentence of an entry; its kind where there is none."""
    match kind:
        case "created":
            return _("Created as a draft.")
        case "copied":
            return _("Copied from “%(source)s” as a draft.") % {"source": facts.get("source", "")}
        case "edited":
            return _("The design was changed: %(fields)s.") % {"fields": fields_words(facts)}
        case "launched":
            return _("Launched with %(share)s of its traffic.") % {"share": _share(facts.get("traffic"))}
        case "ramped":
            return _("Traffic raised from %(was)s to %(share)s. Nobody changed variants.") % {
                "was": _share(facts.get("was")),
                "share": _share(facts.get("traffic")),
            }
        case "paused":
            return _("Paused: everybody sees what is live.")
        case "resumed":
            return _("Went on: everybody is back in the variant they had.")
        case "ended" if facts.get("planned"):
            return _("Ended as planned, without a decision yet.")
        case "ended":
            return _("Ended, without a decision yet.")
        case "shares_moved":
            return _("The bandit moved traffic: %(shares)s.") % {"shares": shares_words(facts, faces)}
        case "guardrail_failed":
            return _("A guardrail failed: %(metric)s.") % {"metric": _metric(facts, faces)}
        case "digest_sent":
            return _("A summary was sent.")
        case "learned":
            return _("What was learned was written down.")
    return _decision_words(kind, facts, faces)


def _decision_words(kind: str, facts: Mapping[str, Any], faces: Faces) -> str:
    variant = {"variant": faces.names.variant(str(facts.get("variant") or ""))}
    match kind:
        case "shipped" if facts.get("forced"):
            return _("Shipped %(variant)s by force, although the split was broken.") % variant
        case "shipped":
            return _("Shipped %(variant)s: every shopper sees it now.") % variant
        case "rolled_back":
            return _("Rolled back: every shopper sees what was live.")
        case "kept_control":
            return _("Decided to keep what was live.")
        case "undone":
            return _("Taken back: %(what)s.") % {"what": _what(str(facts.get("what", "")))}
    return kind


def _what(undone: str) -> str:
    return {
        "ship": _("the shipping"),
        "roll_back": _("the roll back"),
        "keep_control": _("the decision to keep what was live"),
        "end": _("the end"),
    }.get(undone, undone)


def _share(value: Any) -> str:
    return percent_short(value) if isinstance(value, int | float) else formats.NO_DATA


def _metric(facts: Mapping[str, Any], faces: Faces) -> str:
    return faces.names.metric(str(facts.get("metric", "")))


def shares_words(facts: Mapping[str, Any], faces: Faces) -> str:
    """The new shares by variant: "Live 30%, Bold 70%"."""
    shares = facts.get("shares") or {}
    order = [*(code for code in faces.names.variants if code in shares), *shares]
    said = [f"{faces.names.variant(code)} {percent_short(shares[code])}" for code in dict.fromkeys(order)]
    return _(", ").join(said)


def fields_words(facts: Mapping[str, Any]) -> str:
    """What was changed of a design, in few words; what has no word of its own is told as settings."""
    known = {
        "name": _("name"),
        "hypothesis": _("hypothesis"),
        "audience": _("audience"),
        "traffic": _("traffic"),
        "ramp": _("ramp"),
        "primary": _("primary metric"),
        "secondary": _("secondary metrics"),
        "guardrails": _("guardrails"),
        "variants": _("variants"),
        "placements": _("placements"),
        "ends_at": _("end"),
        "planned_days": _("planned days"),
        "view": _("way of judging"),
        "layer": _("slice"),
    }
    fields = [str(one) for one in facts.get("fields") or ()]
    said = [known[one] for one in fields if one in known]
    if any(one not in known for one in fields):
        said.append(_("settings"))
    return _(", ").join(said) or _("nothing")


def _details(kind: str, facts: Mapping[str, Any], faces: Faces) -> list[str]:
    """Finer points: shares at the launch, publications that shipping made, reasons of a decision."""
    said = []
    if kind == "launched":
        said.append(_("Split: %(shares)s") % {"shares": shares_words(facts, faces)})
    for place, done in (facts.get("published") or {}).items():
        said.append(
            _("%(place)s: publication %(number)s is live.") % {"place": place, "number": done.get("after")}
        )
    return [*said, *reasons_words(facts, faces)]


def reasons_words(facts: Mapping[str, Any], faces: Faces) -> list[str]:
    """The reasons of a decision as they were when it was made."""
    reasons = (facts.get("verdict") or {}).get("reasons") or facts.get("reasons") or []
    return [note_words(Note(one["code"], one.get("params", {})), faces.names) for one in reasons]
