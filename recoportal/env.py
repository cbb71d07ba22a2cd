"""Typed reading of the environment and of the `.env` file; what can be set is in `recoportal.declared`.

A value comes from, in this order: the environment variable, the file named by `<NAME>_FILE` (for
secrets mounted as files), the line in `.env`, the default. An empty value counts as not set. A value
that can't be read is never guessed at: it is kept as a `Problem`, the default takes its place while
Django loads, and the system checks (`recoportal.checks`) stop the start with the remedy.

No Django here: manage.py, the embedded services and the tests read the environment before Django loads.
"""

from __future__ import annotations

import difflib
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from recoportal.declared import BASE_DIR, DECLARED, Setting

__all__ = ["BASE_DIR", "BY_NAME", "DECLARED", "Env", "Problem", "Setting", "example", "load"]

OWN_PREFIX = "RECOPORTAL_"


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that can't be used: check id, what is wrong, and how to mend it."""

    id: str
    message: str
    hint: str


BY_NAME: dict[str, Setting] = {setting.name: setting for setting in DECLARED}
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def dotenv_read(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Return the values of a `.env` file (NAME=value, # comments, optional quotes) and its bad lines."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    if not path.is_file():
        return values, problems
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            problems.append(
                Problem(
                    "recoportal.E002",
                    f"{path}, line {number} can't be read: {raw!r}.",
                    "Write NAME=value, one to a line; comments start with #.",
                )
            )
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        else:
            value = value.split(" #", 1)[0].rstrip()
        values[name.strip()] = value
    return values, problems


def parse_bool(text: str) -> bool:
    """Read 1/true/yes/on or 0/false/no/off; anything else is a ValueError."""
    lowered = text.lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    raise ValueError("write 1 or 0")


def parse_url(text: str, schemes: str) -> str:
    """Return the URL if its scheme is one of `schemes` (a|b) and it names a server; else ValueError."""
    parts = urlsplit(text)
    allowed = schemes.split("|")
    if parts.scheme not in allowed:
        raise ValueError(f"write {allowed[0]}://user:password@host:port/name")
    if parts.port is not None and not 0 < parts.port < 65536:
        raise ValueError("the port is between 1 and 65535")
    if allowed[0] == "postgresql" and not parts.path.strip("/"):
        raise ValueError("end the address with the name of the database")
    if not parts.hostname and parts.scheme != "unix" and allowed[0] != "postgresql":
        raise ValueError("name a host")
    return text


def parse(setting: Setting, text: str) -> str | int | bool | list[str] | Path:
    """Turn the text of a setting into its type; ValueError says what to write instead."""
    kind, _, detail = setting.kind.partition(":")
    if kind == "bool":
        return parse_bool(text)
    if kind == "int":
        if not text.lstrip("-").isdigit() or not setting.low <= int(text) <= setting.high:
            raise ValueError(f"write a whole number from {setting.low} to {setting.high}")
        return int(text)
    if kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "path":
        return Path(text).expanduser().absolute()
    if kind == "url":
        return parse_url(text, detail)
    if kind == "choice" and text not in detail.split("|"):
        raise ValueError("write one of " + ", ".join(detail.split("|")))
    if kind == "zone" and text not in available_timezones():
        raise ValueError("write a name of the time zone database, such as Europe/Berlin")
    return text


@dataclass(slots=True)
class Env:
    """The settings as read from one environment and one `.env`; `problems` fills while values are read."""

    environ: Mapping[str, str]
    dotenv: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def text(self, name: str) -> str:
        """Return the raw text of a declared setting, or "" when it is not set."""
        setting = BY_NAME[name]
        value = self.environ.get(name, "")
        file_name = self.environ.get(f"{name}_FILE", "") or self.dotenv.get(f"{name}_FILE", "")
        if value or not file_name:
            return value or self.dotenv.get(name, "")
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._add(
                Problem(
                    "recoportal.E003",
                    f"{setting.name}_FILE={file_name} can't be read: {error}.",
                    f"Name a readable file, or set {setting.name} itself.",
                )
            )
            return ""

    def _add(self, problem: Problem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def parsed(self, name: str) -> str | int | bool | list[str] | Path:
        """Return a setting's value, or its default after noting the problem with what was written."""
        setting = BY_NAME[name]
        text = self.text(name)
        if text:
            try:
                return parse(setting, text)
            except ValueError as error:
                shown = "its value" if setting.secret else repr(text)
                self._add(
                    Problem(
                        "recoportal.E001",
                        f"{name}: {shown} can't be used.",
                        f"{name}: {error}. {setting.meaning}",
                    )
                )
        if setting.default or setting.kind in {"list", "str"} or setting.kind.startswith("url"):
            return parse(setting, setting.default) if setting.default or setting.kind == "list" else ""
        return False if setting.kind == "bool" else setting.default

    def get_str(self, name: str) -> str:
        """Return a text, choice, zone or URL setting."""
        return str(self.parsed(name))

    def get_int(self, name: str) -> int:
        """Return a whole-number setting."""
        value = self.parsed(name)
        assert isinstance(value, int)
        return value

    def get_bool(self, name: str, default: bool | None = None) -> bool:
        """Return a yes/no setting; `default` replaces the declared one when nothing is set."""
        if default is not None and not self.text(name):
            return default
        return bool(self.parsed(name))

    def get_list(self, name: str) -> list[str]:
        """Return a comma-separated setting as a list."""
        value = self.parsed(name)
        assert isinstance(value, list)
        return value

    def get_path(self, name: str) -> Path:
        """Return a folder setting as an absolute path (not resolved, not created)."""
        value = self.parsed(name)
        assert isinstance(value, Path)
        return value

    def unknown_names(self) -> list[Problem]:
        """Return one problem per RECOPORTAL_* name that no setting has: usually a typing error."""
        known = {*BY_NAME, *(f"{name}_FILE" for name in BY_NAME)}
        found = sorted(name for name in {*self.environ, *self.dotenv} if name.startswith(OWN_PREFIX))
        problems = []
        for name in found:
            if name in known:
                continue
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See .env.example for every setting."
            problems.append(Problem("recoportal.E004", f"{name} is not a setting of RecoPortal.", hint))
        return problems

    def missing_in_production(self) -> list[Problem]:
        """Return one problem per setting that production must not invent."""
        needed = (
            "DATABASE_URL",
            "REDIS_URL",
            "CACHE_URL",
            "RECOPORTAL_SECRET_KEY",
            "RECOPORTAL_ALLOWED_HOSTS",
        )
        problems = [
            Problem(
                "recoportal.E005",
                f"{name} is not set.",
                f"Set {name} or {name}_FILE. {BY_NAME[name].meaning}",
            )
            for name in needed
            if not self.text(name)
        ]
        if 0 < len(self.text("RECOPORTAL_SECRET_KEY")) < 32:
            problems.append(
                Problem(
                    "recoportal.E005",
                    "RECOPORTAL_SECRET_KEY is shorter than 32 characters.",
                    "Make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'",
                )
            )
        return problems


def load(environ: Mapping[str, str] | None = None, dotenv_path: Path | None = None) -> Env:
    """Read `.env` (in the project's folder unless given) beside the environment (os.environ unless given)."""
    values, problems = dotenv_read(dotenv_path or BASE_DIR / ".env")
    return Env(environ=os.environ if environ is None else environ, dotenv=values, problems=problems)


def example() -> str:
    """Return the text of `.env.example`: every setting with its meaning, its form and its default."""
    parts = [
        "# Every setting of RecoPortal. Copy to .env and fill in what you need; empty is the default.",
        "# A variable of the environment comes before .env; <NAME>_FILE names a file that holds the value.",
        "# Written by: python -m recoportal.env > .env.example",
    ]
    for setting in DECLARED:
        kind, _, detail = setting.kind.partition(":")
        form = {
            "url": f"{detail.split('|')[0]}://user:password@host:port/name",
            "choice": detail.replace("|", ", "),
            "bool": "1 or 0",
            "int": "whole number",
            "list": "a,b,c",
            "zone": "a time zone's name",
        }.get(kind, "text")
        default = setting.default.replace(f"{BASE_DIR}/", "")
        ending = f"; default: {default}" if default else ""
        parts += ["", *textwrap.wrap(setting.meaning, 108, initial_indent="# ", subsequent_indent="# ")]
        parts += [f"# Form: {form}{ending}", f"{setting.name}="]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(example(), end="")
