"""Robots among the shoppers: by the name they give themselves, and by a pace no person keeps.

Marked events are stored and kept out of training and metrics.
"""

import re
import time
from collections import Counter

# Names crawlers give themselves. Not the names of HTTP libraries: a shop's own server reports with one.
_ROBOTS = re.compile(
    r"bot\b|bot[/;_-]|crawl|spider|slurp|mediapartners|facebookexternalhit|headlesschrome|phantomjs|"
    r"lighthouse|pingdom|uptimerobot|ia_archiver|bingpreview|python-scrapy",
    re.IGNORECASE,
)
# A person who scrolls fast is seen with one or two events a second.
EVENTS_PER_MINUTE = 300
MARKED_SECONDS = 600.0
SENDERS_MAX = 200_000
_known: dict[str, bool] = {}


def agent_is_bot(agent: str) -> bool:
    """Whether a User-Agent header is that of a crawler."""
    if not agent:
        return False
    known = _known.get(agent)
    if known is None:
        if len(_known) > 10_000:
            _known.clear()
        known = _known[agent] = bool(_ROBOTS.search(agent[:400]))
    return known


class PaceWatch:
    """Counts events by shopper (or session) and minute of arrival, in the process that stores them."""

    def __init__(self, events_per_minute: int = EVENTS_PER_MINUTE) -> None:
        self.limit = events_per_minute
        self._minute = 0
        self._counts: Counter[bytes] = Counter()
        self._marked: dict[bytes, float] = {}

    def marked(self, lines: list[bytes]) -> list[bytes]:
        """The lines, those of too fast a sender with their last column, `bot`, set."""
        now = time.monotonic()
        if int(now // 60) != self._minute or len(self._counts) > SENDERS_MAX:
            self._minute = int(now // 60)
            self._counts.clear()
            self._marked = {who: until for who, until in self._marked.items() if until > now}
        senders = []
        for line in lines:
            _id, shopper, session, _rest = line.split(b"\t", 3)
            senders.append(shopper or session)
        self._counts.update(senders)
        self._counts.pop(b"", None)
        for who in {who for who in senders if self._counts.get(who, 0) > self.limit}:
            self._marked[who] = now + MARKED_SECONDS
        if not self._marked:
            return lines
        return [
            line[:-1] + b"t" if who in self._marked else line
            for line, who in zip(lines, senders, strict=True)
        ]
