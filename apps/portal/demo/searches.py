"""What shoppers type: the words of a product in mind, in the shopper's language."""

import numpy as np
from numpy.typing import NDArray

from apps.portal.demo.catalogue import Ints, Traits
from apps.portal.demo.leaves import vocabulary

_FAMILY_ZH = {
    "white": "白色", "beige": "米色", "brown": "棕色", "orange": "橙色", "yellow": "黄色", "green": "绿色",
    "blue": "蓝色", "purple": "紫色", "pink": "粉色", "red": "红色", "grey": "灰色", "black": "黑色",
}  # fmt: skip


def query_words(
    traits: Traits, target: Ints, wording: Ints, chinese: NDArray[np.bool_], rng: np.random.Generator
) -> list[str]:
    """One query per searched product `target`; wording 0 plain, 1 with colour, 2 with style, 3 with brand."""
    words = vocabulary()
    styles = list(words.styles.values())
    nouns = rng.integers(10, size=len(target))
    texts: list[str] = []
    for item, how, zh, draw in zip(target, wording, chinese, nouns, strict=True):
        leaf = words.leaves[traits.leaf[item]]
        noun = leaf.nouns[draw % len(leaf.nouns)] if draw < 5 else leaf.nouns[0]
        before = ""
        if how == 1:
            family = words.families[traits.family[item]]
            before = _FAMILY_ZH[family] if zh else f"{family} "
        elif how == 2:
            style = styles[traits.style[item]]
            before = style.zh if zh else f"{style.en.lower()} "
        elif how == 3:
            before = f"{words.brands[traits.brand[item]].name} "
        texts.append(before + (noun.zh if zh else noun.en.lower()))
    return texts
