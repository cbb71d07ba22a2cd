"""The gate before promotion. Pure: judgements in, verdict out.

Against popularity, by the paired difference of NDCG@10 over the same test shoppers: a full model must be
better (the 95 % interval above 0) on at least one of the protocols that count for its family. Families that
serve as sources rather than as whole models need not: popularity is the measure itself; `trend` and `content`
are there for what popularity can't know (what rises, products nobody has bought yet); `personal` and
`buy_again` repeat purchases, so only "all" counts for them. `item_knn` is there for product and cart pages
first, so what it lists beside a product ("companions") counts as well.

Against the live version of the same recipe, on the same snapshot: on no protocol that counts may it be
significantly worse (the 95 % interval below 0). On the same shoppers and split equal settings give equal
lists, so a plain retrain passes and a change of settings must not cost anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from apps.ml.evaluate import Interval, paired_difference
from apps.training import gate_words
from apps.training.evaluations import Judgement, Protocol
from apps.training.gate_words import reason

MIN_SHOPPERS = 20
METRIC = "ndcg10"


@dataclass(frozen=True, slots=True)
class GateRule:
    """protocols: those that count. beats_popularity: whether the family is a whole model."""

    protocols: tuple[Protocol, ...] = ("new", "all")
    beats_popularity: bool = True


RULES: Mapping[str, GateRule] = {
    "popular": GateRule(beats_popularity=False),
    "trend": GateRule(beats_popularity=False),
    "content": GateRule(beats_popularity=False),
    "personal": GateRule(protocols=("all",)),
    "buy_again": GateRule(protocols=("all",)),
    "segment_popular": GateRule(beats_popularity=False),
    "item_knn": GateRule(protocols=("new", "all", "companions")),
}
DEFAULT_RULE = GateRule()


@dataclass(frozen=True, slots=True)
class Check:
    """One paired comparison on one protocol."""

    against: Literal["popular", "live"]
    protocol: Protocol
    difference: Interval
    shoppers: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "against": self.against,
            "protocol": self.protocol,
            "difference": round(self.difference.mean, 6),
            "low": round(self.difference.low, 6),
            "high": round(self.difference.high, 6),
            "shoppers": self.shoppers,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the version may go live, and why not."""

    by_popularity: list[str] = field(default_factory=list)
    by_live: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    live_number: int | None = None

    @property
    def reasons(self) -> list[str]:
        """Everything that speaks against it."""
        return self.by_popularity + self.by_live

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, as stored in ModelVersion.gate."""
        return {
            "passed": self.passed,
            "reasons": self.reasons,
            "by_popularity": self.by_popularity,
            "by_live": self.by_live,
            "live_number": self.live_number,
            "checks": [check.to_dict() for check in self.checks],
        }


def rule_of(family: str) -> GateRule:
    """The family's rule."""
    return RULES.get(family, DEFAULT_RULE)


def compare(
    *, family: str, new: Judgement, other: Judgement, against: Literal["popular", "live"]
) -> list[Check]:
    """The paired differences on the protocols that count and that both were judged by."""
    checks = []
    for protocol in rule_of(family).protocols:
        if protocol not in new or protocol not in other:
            continue
        mine, theirs = new[protocol].evaluation, other[protocol].evaluation
        difference = paired_difference(mine.per_user[METRIC], theirs.per_user[METRIC])
        checks.append(Check(against, protocol, difference, mine.n_users))
    return checks


def popularity_reasons(*, family: str, checks: list[Check]) -> list[str]:
    """Why the version fails against popularity; empty when it passes or need not."""
    if not rule_of(family).beats_popularity:
        return []
    enough = [check for check in checks if check.shoppers >= MIN_SHOPPERS]
    if not enough:
        most = max((check.shoppers for check in checks), default=0)
        return [reason(gate_words.TOO_FEW, most=most, needed=MIN_SHOPPERS)]
    if any(check.difference.low > 0 for check in enough):
        return []
    shown = "; ".join(_shown(check) for check in enough)
    return [reason(gate_words.NOT_BETTER, difference=shown)]


def live_reasons(*, checks: list[Check]) -> list[str]:
    """Why the version fails against the live one; empty when it passes."""
    worse = [check for check in checks if check.difference.high < 0]
    return [reason(gate_words.WORSE, difference=_shown(check)) for check in worse]


def _shown(check: Check) -> str:
    d = check.difference
    return reason(
        gate_words.DIFFERENCE,
        mean=f"{d.mean:+.4f}",
        low=f"{d.low:+.4f}",
        high=f"{d.high:+.4f}",
        protocol=check.protocol,
        shoppers=check.shoppers,
    )


def gate_judge(
    *, family: str, new: Judgement, popular: Judgement, live: Judgement | None, live_number: int | None = None
) -> Verdict:
    """The verdict on a new version; `live` is None when the recipe has nothing live."""
    by_popularity = compare(family=family, new=new, other=popular, against="popular")
    by_live = compare(family=family, new=new, other=live, against="live") if live else []
    return Verdict(
        by_popularity=popularity_reasons(family=family, checks=by_popularity),
        by_live=live_reasons(checks=by_live),
        checks=by_popularity + by_live,
        live_number=live_number,
    )
