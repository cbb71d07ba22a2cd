"""What form templates ask of a bound field."""

from django import template
from django.forms import BoundField

register = template.Library()


@register.filter
def widget_type(field: BoundField) -> str:
    """The class name of the field's widget."""
    return type(field.field.widget).__name__
