"""Every text of the staff pages is there in Simplified Chinese."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[2]
NAMES = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy")
TEXTS = [*sorted((ROOT / "templates").rglob("*.html")), *sorted((ROOT / "apps/portal").rglob("*.py"))]


def extracted(path: Path) -> Iterator[str]:
    """The message ids of a template or module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":  # what stands between the texts is no Python; its indentation must not matter
        text = "\n".join(line.strip() for line in templatize(text).splitlines())
    found = extract_python(BytesIO(text.encode()), dict.fromkeys(NAMES), [], {"encoding": "utf-8"})
    for _line, _function, message, _comments in found:
        ids = message if isinstance(message, list | tuple) else [message]
        yield from [one for one in ids[:1] if isinstance(one, str)]


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    with (ROOT / "locale/zh_Hans/LC_MESSAGES/django.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def django_has(message: str) -> bool:
    """Whether Django's own catalogues translate it."""
    from django.utils.translation import gettext, override

    with override("zh-hans"):
        return gettext(message) != message


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_is_translated(path: Path, chinese: Catalog) -> None:
    ours = {
        message.id if isinstance(message.id, str) else message.id[0] for message in chinese if message.string
    }
    assert [one for one in extracted(path) if one not in ours and not django_has(one)] == []


def test_placeholders_survive_translation(chinese: Catalog) -> None:
    def named(text: str | None) -> set[str]:
        return set(re.findall(r"%\(\w+\)[a-z]", text or ""))

    wrong = []
    for message in chinese:
        ids = message.id if isinstance(message.id, list | tuple) else [message.id]
        texts = message.string if isinstance(message.string, list | tuple) else [message.string]
        if message.id and named(texts[0]) != named(ids[-1]):
            wrong.append(ids[0])
    assert wrong == []
