"""What an experiment tells people who don't look at its page: by e-mail in words, by webhook as JSON."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from apps.accounts.models import User
from apps.experiments.models import Delivery, Experiment, Readout
from apps.experiments.notes import NOTE_TEXTS, Note, note_values
from apps.experiments.results import Analysis, analysis_read

DIGEST = "digest"
# Entries of the log that are told at once.
TOLD = (
    "launched", "paused", "resumed", "guardrail_failed", "rolled_back", "shipped",
    "kept_control", "ended", "undone",
)  # fmt: skip


def subject_of(delivery: Delivery) -> str:
    """One line, in the present language."""
    return _("%(name)s: %(what)s") % {"name": delivery.experiment.name, "what": what_words(delivery)}


def what_words(delivery: Delivery) -> str:
    """What happened, in a few words."""
    details = delivery.event.details if delivery.event else {}
    texts = {
        "launched": _("the experiment was launched"),
        "paused": _("the experiment was paused"),
        "resumed": _("the experiment goes on"),
        "guardrail_failed": _("the guardrail %(metric)s fails for %(variant)s"),
        "rolled_back": _("rolled back by a guardrail") if details.get("automatic") else _("rolled back"),
        "shipped": _("%(variant)s was shipped"),
        "kept_control": _("control stays"),
        "ended": _("the experiment ended as planned")
        if details.get("planned")
        else _("the experiment ended"),
        "undone": _("the last decision was taken back"),
        DIGEST: _("how it stands"),
    }
    return texts[delivery.kind] % {
        "metric": details.get("metric", ""),
        "variant": details.get("variant", ""),
    }


def body_of(delivery: Delivery) -> str:
    """The e-mail's text, in the present language."""
    experiment, analysis = delivery.experiment, analysis_last(delivery.experiment)
    lines = [f"{subject_of(delivery)}.", ""]
    if delivery.event is not None:
        if who := delivery.event.actor:
            lines.append(_("By %(who)s.") % {"who": who.get_username()})
        if note := delivery.event.details.get("note"):
            lines.append(str(note))
    if experiment.hypothesis:
        lines += [_("Hypothesis: %(text)s") % {"text": experiment.hypothesis}]
    if analysis is None:
        lines.append(_("There is no readout yet."))
    else:
        order = sorted(analysis.units, key=lambda variant: (variant != analysis.control, variant))
        units = ", ".join(f"{variant} {analysis.units[variant]:,}" for variant in order)
        lines.append(_("Units: %(units)s.") % {"units": units})
        lines += [*_figures(analysis), "", _action_words(analysis), *_told(analysis.verdict.reasons)]
        changes = _told(analysis.verdict.would_change)
        lines += ["", _("What would change this:"), *changes] if changes else []
        lines += ["", *_told(analysis.warnings)] if analysis.warnings else []
    return "\n".join(lines).strip() + "\n"


def _figures(analysis: Analysis) -> list[str]:
    """The primary metric by treatment: the change and the interval that holds at any look."""
    if analysis.primary is None:
        return []
    lines = []
    for found in analysis.primary.comparisons:
        if found.relative is None:
            continue
        low, high = found.relative.low, found.relative.high
        always = found.sequential
        if always is not None and always.relative_low is not None and always.relative_high is not None:
            low, high = always.relative_low, always.relative_high
        lines.append(
            _("%(metric)s, %(variant)s: %(value)s (%(low)s to %(high)s)")
            % {
                "metric": analysis.primary.code,
                "variant": found.variant,
                "value": f"{found.relative.value:+.2%}",
                "low": f"{low:+.2%}",
                "high": f"{high:+.2%}",
            }
        )
    return lines


def _action_words(analysis: Analysis) -> str:
    texts = {
        "ship": _("Verdict: ship %(variant)s."),
        "roll_back": _("Verdict: roll back."),
        "keep_running": _("Verdict: keep running."),
        "keep_control": _("Verdict: keep control."),
        "blocked": _("No verdict: the numbers can't be trusted."),
        "too_early": _("No verdict yet."),
    }
    return texts[analysis.verdict.action] % {"variant": analysis.verdict.variant}


def _told(notes: tuple[Note, ...]) -> list[str]:
    return [f"- {_(NOTE_TEXTS[note.code]) % note_values(note)}" for note in notes if note.code in NOTE_TEXTS]


def analysis_last(experiment: Experiment) -> Analysis | None:
    """The stored analysis, None when there is none."""
    readout = Readout.objects.filter(experiment=experiment).first()
    return analysis_read(readout.analysis) if readout is not None and readout.analysis else None


def language_of(address: str) -> str:
    """The language of the member of staff with this address, else the shop's."""
    user = User.objects.filter(email__iexact=address, is_active=True).exclude(language="").first()
    return user.language if user else settings.LANGUAGE_CODE


def email_of(delivery: Delivery) -> tuple[str, str]:
    """Subject and text in the reader's language."""
    with override(language_of(delivery.target)):
        return " ".join(subject_of(delivery).split()), body_of(delivery)


def payload_of(delivery: Delivery) -> Mapping[str, Any]:
    """What a webhook gets; texts are English."""
    experiment, event = delivery.experiment, delivery.event
    analysis = analysis_last(experiment)
    at = event.at if event else delivery.created_at
    with override("en"):
        found: dict[str, Any] = {
            "id": delivery.pk,
            "kind": delivery.kind,
            "at": at.isoformat(),
            "text": subject_of(delivery),
            "experiment": {
                "code": experiment.code,
                "name": experiment.name,
                "kind": experiment.kind,
                "status": experiment.status,
                "decision": experiment.decision,
                "winner": experiment.winner,
            },
            "details": event.details if event else {},
            "analysis": None,
        }
        if analysis is not None:
            found["analysis"] = {
                "units": dict(analysis.units),
                "srm": {"p": analysis.srm.p, "alarm": analysis.srm.alarm},
                "verdict": analysis.verdict.action,
                "variant": analysis.verdict.variant,
                "reasons": [one.removeprefix("- ") for one in _told(analysis.verdict.reasons)],
                "figures": _figures(analysis),
            }
    return found
