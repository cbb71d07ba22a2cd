"""What the settings of models are called, and what each does, in words."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.portal.formats import number

WORDS: dict[str, tuple[Any, Any]] = {
    "half_life_days": (
        _("Half-life (days)"),
        _("After so many days an event counts half."),
    ),
    "anonymous": (_("Count visitors who are not known"), ""),
    "recent_half_life_days": (_("Half-life of what is recent (days)"), ""),
    "long_half_life_days": (_("Half-life of what is usual (days)"), ""),
    "prior": (
        _("Caution for rare products, recent"),
        _("More lets rare products rise more slowly."),
    ),
    "long_prior": (
        _("Caution for rare products, usual"),
        _("More lets rare products rise more slowly."),
    ),
    "neighbours": (
        _("Neighbours kept"),
        _("How many similar ones each one is compared with."),
    ),
    "weighting": (
        _("Weighting"),
        _("How much products that everybody buys count against rare ones."),
    ),
    "shrink": (
        _("Shrinkage"),
        _("More trusts a similarity only when many shoppers share it."),
    ),
    "row_half_life_days": (_("Half-life when learning (days)"), ""),
    "profile_half_life_days": (_("Half-life of a shopper's history (days)"), ""),
    "similarity_half_life_days": (_("Half-life when comparing shoppers (days)"), ""),
    "interest_half_life_days": (_("Half-life of the neighbours' interest (days)"), ""),
    "baskets": (
        _("Learn from baskets too"),
        _("What is bought in one order belongs together."),
    ),
    "basket_weight": (_("Weight of baskets"), ""),
    "row_exponent": (
        _("Caution for long histories"),
        _("More lets pairs from long histories and large baskets say less."),
    ),
    "popularity_discount": (
        _("Discount of popular neighbours"),
        _("0 counts joint choices as they are; 1 is blind to popularity."),
    ),
    "own_weight": (
        _("Weight of the product itself"),
        _("More brings back what the shopper looked at or bought."),
    ),
    "category_prior": (
        _("Trust in the category beside a product"),
        _("More leans on what usually goes with its category where little is known."),
    ),
    "word_features": (_("Words kept"), ""),
    "char_features": (
        _("Letter groups kept"),
        _("They make spellings and Chinese comparable."),
    ),
    "char_low": (_("Shortest letter group"), ""),
    "char_high": (_("Longest letter group"), ""),
    "word_weight": (_("Weight of words"), ""),
    "char_weight": (_("Weight of letter groups"), ""),
    "category_weight": (_("Weight of categories"), ""),
    "factors": (
        _("Hidden tastes"),
        _("More tell shoppers apart better and take longer."),
    ),
    "epochs": (
        _("Rounds at most"),
        _("Training stops earlier when it no longer gains."),
    ),
    "regularisation": (
        _("Regularisation"),
        _("More keeps to what many shoppers share; less follows each closely."),
    ),
    "frequency_exponent": (_("Regularisation by frequency"), ""),
    "alpha": (_("Confidence per event"), ""),
    "cg_steps": (_("Solver steps per round"), ""),
    "tolerance": (_("Stop when a round gains less than"), ""),
    "max_items": (_("Products at most"), _("Memory grows with the square of it.")),
}


def setting_words(name: str) -> tuple[str, str]:
    """A setting's name and its one sentence, maybe empty; the code name spelt out where there is none."""
    label, help_text = WORDS.get(name, (name.replace("_", " ").capitalize(), ""))
    return str(label), str(help_text)


def preset_text(value: Any) -> str:
    """A preset's value in words."""
    if value is None:
        return gettext("never")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, int | float):
        return number(value) if float(value).is_integer() else number(value, 4).rstrip("0")
    return str(value)


def choice_text(value: Any) -> str:
    """One value of a setting that is chosen from a list."""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return str(value)
