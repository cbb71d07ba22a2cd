"""The studio in the words of its domain: a music service has songs where a shop has products.

`ShopSettings.words` maps words by language. From them and the message catalogue comes a second catalogue that
lies over the first in this process, which serves one shop: no page and no text knows of it.
"""

import gettext
import io
import re
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation import to_locale, trans_real

from apps.accounts.selectors import shop_settings_get

Words = Mapping[str, Mapping[str, str]]
# What stands in a text and is not read: placeholders, tags, and what is code.
FIXED = r"%\(\w+\)[a-z]|<code>.*?</code>|<[^>]*>|\{\w*\}"
_lock = threading.Lock()
_applied: Words = {}


def vocabulary_apply() -> None:
    """Make this process speak the shop's words from the next activated language on; cheap where it does."""
    global _applied
    words: Words = shop_settings_get().words
    if words == _applied:
        return
    with _lock:
        if words == _applied:
            return
        for language in {*words, *_applied} & set(dict(settings.LANGUAGES)):
            overlay = overlay_of(language, words.get(language, {}), _applied.get(language, {}))
            trans_real.translation(language).merge(overlay)
        _applied = words


def overlay_of(
    language: str, mapping: Mapping[str, str], before: Mapping[str, str]
) -> gettext.GNUTranslations:
    """The messages that hold one of these words, with the other word in its place; and as they are, those
    that an earlier mapping had changed.
    """
    boundaries = language.startswith("en")
    reworded, were = rewording(mapping, boundaries=boundaries), rewording(before, boundaries=boundaries)
    catalogue = Catalog(locale=to_locale(language))
    for message in _messages():
        texts = _texts(message, language)
        fresh = [reworded(text) for text in texts]
        touched = fresh != texts or [were(text) for text in texts] != texts
        if message.id and all(texts) and touched:
            plural = isinstance(message.id, list | tuple)
            catalogue.add(message.id, tuple(fresh) if plural else fresh[0], context=message.context)
    file = io.BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    return gettext.GNUTranslations(file)


def rewording(mapping: Mapping[str, str], *, boundaries: bool) -> Callable[[str], str]:
    """A function that puts the words into a text; a capital stays one. boundaries: only whole words count."""
    if not mapping:
        return lambda text: text
    lower = {word.lower(): other for word, other in mapping.items()}
    longest = "|".join(re.escape(word) for word in sorted(lower, key=len, reverse=True))
    edge = r"\b" if boundaries else ""
    pattern = re.compile(f"({FIXED})|{edge}({longest}){edge}", re.IGNORECASE | re.DOTALL)

    def put(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        other = lower[match[2].lower()]
        return other[0].upper() + other[1:] if match[2][0].isupper() else other

    return lambda text: pattern.sub(put, text)


def _texts(message: Message, language: str) -> list[str]:
    """What readers of this language see: the message itself in English, else its translation."""
    found = message.id if language.startswith("en") else message.string
    return list(found) if isinstance(found, list | tuple) else [str(found)]


@lru_cache(maxsize=1)
def _messages() -> list[Message]:
    """Every message of the catalogue."""
    path = Path(settings.LOCALE_PATHS[0]) / "zh_Hans" / "LC_MESSAGES" / "django.po"
    with path.open("rb") as file:
        return list(read_po(file, locale="zh_Hans"))
