"""Serve Plotly's script from the `plotly` wheel: no CDN, no copy in the repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage, Storage


class PrefixedStorage(FileSystemStorage):
    """A folder whose files are collected under `prefix` (collectstatic reads that attribute)."""

    prefix = "plotly"


class PlotlyFinder(BaseFinder):
    """Finds the one path `plotly/plotly.min.js`; the wheel's folder holds more that nobody needs."""

    file_name = "plotly.min.js"

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        spec = find_spec("plotly")
        origin = spec.origin if spec else None
        if origin is None:
            raise LookupError("plotly is not installed: run `make setup`")
        self.storage = PrefixedStorage(location=str(Path(origin).parent / "package_data"))

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Nothing to configure."""
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Return the file's place for `plotly/plotly.min.js`, an empty list for anything else."""
        if path != f"{self.storage.prefix}/{self.file_name}":
            return []
        found = self.storage.path(self.file_name)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        """Yield the one file."""
        yield self.file_name, self.storage
