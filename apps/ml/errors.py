"""Errors of the library; each names what was wrong and how to mend it."""

from __future__ import annotations


class MLError(Exception):
    """Base of every error this library raises on purpose."""


class InvalidValue(MLError):
    """A setting or argument that cannot be used: names field, value and remedy."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field}: {value!r} cannot be used. {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


class DataMissing(MLError):
    """The data set lacks something the model cannot work without."""


class ArtifactInvalid(MLError):
    """A model folder is incomplete, altered or of another format."""


class Cancelled(MLError):
    """Training was stopped because `TrainOptions.should_stop` said so."""
