"""Titles and descriptions of products, composed in English and Simplified Chinese."""

import re
from dataclasses import dataclass

from apps.portal.demo.leaves import Brand, Colour, Leaf, Pair, Size

_SMALL = {"and", "of", "the", "in", "with"}
_NAMES = {"Chelsea", "Bluetooth", "Santoku"}
_ARTICLE = re.compile(r"\x00([Aa]) (\W*)(\w)")


@dataclass(frozen=True)
class Look:
    """What one product is: every choice that its words and its picture show."""

    leaf: Leaf
    brand: Brand
    series: str
    noun: int
    facet: int
    style: str
    style_name: Pair
    colour: Colour | None
    pack: Colour
    size: Size | None
    detail: Pair
    use: Pair
    close: Pair


def _capitalised(phrase: str) -> str:
    words = phrase.split(" ")
    return " ".join(word if word in _SMALL and i else _word_up(word) for i, word in enumerate(words))


def _word_up(word: str) -> str:
    return "-".join(part[:1].upper() + part[1:] for part in word.split("-"))


def lowered(noun: str) -> str:
    """A title's noun inside a sentence; names and the T of T-Shirt stay as they are."""
    return " ".join(word if word in _NAMES else word.lower() for word in noun.split(" ")).replace(
        "t-s", "T-s"
    )


def _articled(sentence: str) -> str:
    def choose(match: re.Match[str]) -> str:
        article = match[1] + ("n" if match[3].lower() in "aeiou" else "")
        return f"{article} {match[2]}{match[3]}"

    sentence = _ARTICLE.sub(choose, sentence)
    return sentence[:1].upper() + sentence[1:]


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def title(look: Look) -> Pair:
    """The product's title in both languages, its size at the end."""
    leaf, facet, noun = look.leaf, look.leaf.facets[look.facet], look.leaf.nouns[look.noun]
    colour = look.colour or Pair("", "")
    english = leaf.title.en.format(
        brand=look.brand.name,
        series=look.series,
        facet=_capitalised(facet.en),
        noun=noun.en,
        colour=_capitalised(colour.en),
    )
    chinese = leaf.title.zh.format(
        brand=look.brand.name, series=look.series, facet=facet.zh, noun=noun.zh, colour=colour.zh
    )
    if look.size:
        return Pair(f"{english}, {look.size.en}", f"{chinese} {look.size.zh}")
    return Pair(english, chinese)


def description(look: Look) -> Pair:
    """Three sentences: what it is, what it is for, how to keep it or who makes it."""
    leaf, facet, noun = look.leaf, look.leaf.facets[look.facet], look.leaf.nouns[look.noun]
    colour = look.colour or Pair("", "")
    english = leaf.lead.en.format(
        A="\x00A",
        a="\x00a",
        style=look.style_name.en,
        Style=_upper_first(look.style_name.en),
        noun=lowered(noun.en),
        facet=facet.en,
        colour=colour.en,
        detail=look.detail.en,
    )
    chinese = leaf.lead.zh.format(
        style=look.style_name.zh, noun=noun.zh, facet=facet.zh, colour=colour.zh, detail=look.detail.zh
    )
    return Pair(
        f"{_articled(english)} {look.use.en} {look.close.en}", f"{chinese}{look.use.zh}{look.close.zh}"
    )
