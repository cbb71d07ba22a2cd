"""What every table of ours shares."""

from django.core.exceptions import ValidationError
from django.db import models

from apps.core.errors import InvalidInput


class TimestampedModel(models.Model):
    """Adds when the row was made and last written."""

    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


def row_check(row: models.Model) -> None:
    """Validate a row against its model; raises InvalidInput naming the first bad field."""
    try:
        row.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(field=field, value=getattr(row, field, ""), remedy=" ".join(messages)) from error
