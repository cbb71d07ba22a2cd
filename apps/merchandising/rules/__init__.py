"""The one rule engine: pure, deterministic, the same online, in previews and in replay.

Order law: hide and availability > filter > pin > limits > boost and bury. Imports no Django, directly or
indirectly; works on plain values.
"""

from apps.merchandising.rules.checks import Hint, rules_check
from apps.merchandising.rules.columns import CandidateColumns, ProductColumns
from apps.merchandising.rules.engine import rules_apply, rules_apply_columns
from apps.merchandising.rules.facts import ProductFacts
from apps.merchandising.rules.parsing import rule_dump, rule_parse, rules_dump, rules_parse
from apps.merchandising.rules.plan import RuleSet
from apps.merchandising.rules.slate import Candidate, Effect, RuleContext, RuledItem, RuledSlate, Shown
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import (
    AttributeTarget,
    Boost,
    BrandTarget,
    Bury,
    CategoryTarget,
    Condition,
    Filter,
    Hide,
    Limit,
    Pin,
    ProductTarget,
    Rule,
    TagTarget,
    Target,
)

__all__ = [
    "AttributeTarget",
    "Boost",
    "BrandTarget",
    "Bury",
    "Candidate",
    "CandidateColumns",
    "CategoryTarget",
    "Condition",
    "Effect",
    "FactsTable",
    "Filter",
    "Hide",
    "Hint",
    "Limit",
    "Pin",
    "ProductColumns",
    "ProductFacts",
    "ProductTarget",
    "Rule",
    "RuleContext",
    "RuleSet",
    "RuledItem",
    "RuledSlate",
    "Shown",
    "TagTarget",
    "Target",
    "rule_dump",
    "rule_parse",
    "rules_apply",
    "rules_apply_columns",
    "rules_check",
    "rules_dump",
    "rules_parse",
]
