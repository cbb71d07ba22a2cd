"""What the gate says, once: written in English when a version is judged (a worker has no reader), and told in
the reader's language when it is shown.
"""

import re
from functools import cache
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

TOO_FEW = _("Only %(most)s shoppers bought in the test window; %(needed)s are needed to judge.")
NOT_BETTER = _("Does not beat popularity: NDCG@10 difference %(difference)s.")
WORSE = _("Worse than the live version: NDCG@10 difference %(difference)s.")
OTHER_SNAPSHOT = _(
    "The live version %(number)s was judged on another snapshot; train again to compare the two."
)
LISTS_MISSING = _("The evaluation lists of one of the two versions are missing; train again.")
REASONS = (TOO_FEW, NOT_BETTER, WORSE, OTHER_SNAPSHOT, LISTS_MISSING)
DIFFERENCE = _("%(mean)s (%(low)s to %(high)s, %(protocol)s, %(shoppers)s shoppers)")
PROTOCOLS = {
    "new": _("first purchases"),
    "all": _("all purchases"),
    "companions": _("beside a product"),
}


def reason(template: str, **values: Any) -> str:
    """A reason in English, as it is stored."""
    return template % values


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Finds a template's values again in its text."""
    parts = re.split(r"%\((\w+)\)s", template)
    texts = [re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+?)" for place, part in enumerate(parts)]
    return re.compile("".join(texts))


def reason_told(text: str) -> str:
    """A stored reason in the reader's language; what nobody knows as it is."""
    for template in REASONS:
        if found := _pattern(template).fullmatch(text):
            values = found.groupdict()
            if "difference" in values:
                values["difference"] = _differences_told(values["difference"])
            return gettext(template) % values
    return text


def _differences_told(text: str) -> str:
    def told(found: re.Match[str]) -> str:
        values = found.groupdict()
        protocol = PROTOCOLS.get(values["protocol"], values["protocol"])
        return gettext(DIFFERENCE) % {**values, "protocol": gettext(protocol)}

    parts = [_pattern(DIFFERENCE).fullmatch(part) for part in text.split("; ")]
    return gettext("; ").join(told(part) for part in parts if part) if all(parts) else text
