"""Whether the collected static files are up to date: naming and compressing them takes seconds."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders

MARK = "collected-from"


def static_files_mark() -> str:
    """Return a mark of all static files: names, sizes, times, and the package that names them."""
    digest = hashlib.sha256(importlib.metadata.version("whitenoise").encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def static_files_collected() -> bool:
    """Tell whether the files collected last are those there are now."""
    mark = Path(settings.STATIC_ROOT) / MARK
    return mark.exists() and mark.read_text(encoding="ascii") == static_files_mark()


def static_files_collected_note() -> None:
    """Remember what has just been collected."""
    (Path(settings.STATIC_ROOT) / MARK).write_text(static_files_mark(), encoding="ascii")
