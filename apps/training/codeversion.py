"""Which code trained a model."""

import subprocess
from functools import cache
from importlib import metadata

from django.conf import settings


@cache
def code_version() -> str:
    """The commit (`git describe`) in a checkout, else the package's version; at most 40 characters."""
    try:
        described = subprocess.run(
            ["git", "-c", f"safe.directory={settings.BASE_DIR}", "describe", "--always", "--dirty", "--tags"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        described = ""
    if described:
        return described[:40]
    try:
        return metadata.version("recoportal")[:40]
    except metadata.PackageNotFoundError:
        return "unknown"
