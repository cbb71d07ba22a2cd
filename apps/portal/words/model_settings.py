"""What the settings of models and their values are called, and what each does, in words."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.portal.formats import number
from apps.portal.words.network_settings import NETWORK_SETTINGS
from apps.portal.words.setting_names import SETTINGS

# Where one name means something else in one family.
OF_FAMILY: dict[tuple[str, str], str] = {("association", "max_length"): "max_rule_length"}
WORDS = SETTINGS | NETWORK_SETTINGS
VALUES: dict[str, Any] = {
    "cosine": _("cosine"),
    "tfidf": _("TF-IDF: rare products count more"),
    "bm25": _("BM25: rare products count more, long histories less"),
    "euclidean": _("distance"),
    "sgd": _("SGD with momentum"),
    "adam": _("Adam"),
    "adamw": _("AdamW"),
    "adamax": _("Adamax"),
    "constant": _("the same throughout"),
    "linear": _("down in a straight line"),
    "plateau": _("halved when it no longer gains"),
    "float32": _("full (32 bits)"),
    "bfloat16": _("half (16 bits)"),
    "auto": _("by the size of the catalogue"),
    "softmax": _("the right one among all"),
    "sampled_softmax": _("the right one among a sample"),
    "gbce": _("yes or no, calibrated"),
    "bce": _("each for itself, yes or no"),
    "bpr": _("the chosen above the others"),
    "keep": _("read every one"),
    "collapse": _("a run of one product is one"),
    "first": _("only the first"),
    "last": _("only the last"),
    "gru": _("GRU"),
    "lstm": _("LSTM"),
    "relu": _("ReLU"),
    "gelu": _("GELU"),
    "silu": _("SiLU"),
    "tanh": _("tanh"),
    "sigmoid": _("sigmoid"),
    "popular": _("what everybody buys"),
    "trend": _("what rises"),
    "both": _("both, side by side"),
    "lambdarank": _("the order of each shopper's products"),
    "logistic": _("the chance that each is bought"),
}

# What an empty setting means, where that is not "never".
EMPTY: dict[str, Any] = {
    "kept": _("all"),
    "clip_norm": _("no limit"),
    "order_decay": _("by age alone"),
    "patience": _("goes on to the end"),
}


def setting_words(name: str, family: str = "") -> tuple[str, str]:
    """A setting's name and what it does, in one sentence."""
    label, help_text = WORDS[OF_FAMILY.get((family, name), name)]
    return str(label), str(help_text)


def value_text(value: Any, name: str = "") -> str:
    """A setting's value in words; `name` is the setting's."""
    if value is None:
        return str(EMPTY.get(name) or gettext("never"))
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, int | float):
        return number(value) if float(value).is_integer() else number(value, 4).rstrip("0")
    return str(VALUES.get(value, value))
