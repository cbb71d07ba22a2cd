"""What services advise against a refused value, in the reader's language.

Services write plain English; a remedy with values in it is known here by its pattern. One that is not known
is shown as it is.
"""

import re
from functools import cache

from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as _

PATTERNS = (
    _("It shows the same as %(other)s. Change its weights, rules, page size or versions."),
    _("Give a whole number from %(low)s to %(high)s."),
    _("Give a number from %(low)s to %(high)s."),
    _(
        "%(other)s holds %(from)s to %(to)s of this layer. Free in %(layer)s: %(free)s. Take a free slice or "
        "another layer, or end that experiment."
    ),
    _(
        "%(other)s runs on the same placement in the layer %(layer)s. Take a free slice of that layer, so "
        "that nobody is in both."
    ),
    _("%(other)s runs on the same placement, and a switchback needs it alone. End one first."),
)


_RANGE = re.compile(r"(?P<from>[\d.]+%) to (?P<to>[\d.]+%)")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", pattern)
    named = (f"(?P<{one}_>.+)" if place % 2 else re.escape(one) for place, one in enumerate(parts))
    return re.compile("".join(named))


def _spoken(value: str) -> str:
    """A value with its ranges, "0% to 50%", in the reader's language."""
    return _RANGE.sub(lambda one: gettext("%(from)s to %(to)s") % one.groupdict(), value)


def remedy_words(remedy: str) -> str:
    """The remedy in the reader's language."""
    if not remedy or (get_language() or "en").startswith("en"):
        return remedy
    for pattern in PATTERNS:
        found = _compiled(pattern).fullmatch(remedy)
        if found:
            values = {name.rstrip("_"): _spoken(one) for name, one in found.groupdict().items()}
            return gettext(pattern) % values
    return gettext(remedy)
