"""Message catalogues: `.po` files are in the repository, `.mo` files are compiled by whoever needs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from recoportal.env import BASE_DIR


def translations_compile(folder: Path = BASE_DIR / "locale") -> list[Path]:
    """Compile every catalogue that is newer than its compiled form; returns what was written.

    In Python (Babel), because msgfmt is a system package. Readers never see half a file.
    """
    written: list[Path] = []
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po

        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parent.parent.name, abort_invalid=True)
        fresh = target.with_name(f"{target.name}.{os.getpid()}")
        try:
            with fresh.open("wb") as file:
                write_mo(file, catalogue)
            fresh.replace(target)
        except PermissionError:
            # An installation that its user may not write was compiled when it was made.
            return written
        written.append(target)
    return written


if __name__ == "__main__":
    for path in translations_compile():
        print(f"compiled {path}")
    sys.exit(0)
