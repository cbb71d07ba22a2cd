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
    "trend_weight": (_("Weight of the trend"), ""),
    "trend_half_life_days": (_("Half-life of what counts as recent (days)"), ""),
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
    "season_weight": (_("Weight of last year's season"), ""),
    "season_days": (_("Days of a season"), ""),
    "optimiser": (_("Optimiser"), _("How the network's weights are moved: Adam suits most shops.")),
    "learning_rate": (_("Learning rate"), _("Larger learns faster and may miss the best.")),
    "schedule": (_("Schedule of the learning rate"), ""),
    "warmup": (_("Warm-up (share of training)"), ""),
    "clip_norm": (_("Longest step (gradient norm)"), ""),
    "l1": (_("L1 penalty"), ""),
    "l2": (_("L2 penalty"), ""),
    "batch_size": (_("Examples per step"), ""),
    "patience": (_("Rounds without gain before it stops"), ""),
    "precision": (_("Number format"), ""),
    "width": (_("Width of the network"), ""),
    "max_length": (_("Events read of a history"), ""),
    "dropout": (
        _("Dropout"),
        _(
            "The share of the network switched off at random while it "
            "learns; more keeps it from learning by heart."
        ),
    ),
    "loss": (_("Loss"), ""),
    "negatives": (_("Products compared with"), ""),
    "calibration": (_("Calibration of negatives"), ""),
    "repeats": (_("Recommends what was bought before"), ""),
    "blocks": (_("Layers of attention"), ""),
    "heads": (_("Heads of attention"), ""),
    "widening": (_("Widening"), ""),
    "activation": (_("Activation"), ""),
    "cell": (_("Kind of cell"), ""),
    "layers": (_("Layers"), ""),
    "crop": (_("Share of histories cropped"), ""),
    "reorder": (_("Share of histories reordered"), ""),
    "mask": (_("Share of histories masked"), ""),
    "time_buckets": (_("Steps of time told apart"), ""),
    "horizon_days": (_("Days looked ahead"), ""),
    "group_size": (_("Baskets per group"), ""),
    "basket_decay": (_("Decay within a group"), ""),
    "group_decay": (_("Decay between groups"), ""),
    "own_share": (_("Share of the shopper's own baskets"), ""),
    "region_weight": (_("Weight of the region"), ""),
    "age_band_weight": (_("Weight of the age band"), ""),
    "gender_weight": (_("Weight of the gender"), ""),
    "income_band_weight": (_("Weight of the income band"), ""),
    "language_weight": (_("Weight of the language"), ""),
    "segment_half_life_days": (_("Half-life in segments (days)"), ""),
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
