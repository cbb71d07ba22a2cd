"""Names the shop was born with, in the reader's language while nobody renamed them."""

from django import template
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

register = template.Library()

BORN_WITH = (
    _("Home page"),
    _("Product page"),
    _("Cart"),
    _("New arrivals"),
    _("Trending"),
    _("Bought together"),
    _("Because you viewed"),
    _("Buy again"),
    _("On promotion"),
    _("Sponsored"),
    _("Category page"),
    _("Search results"),
)


@register.filter
def spoken(name: str) -> str:
    """`{{ placement.name|spoken }}`: a name we gave, translated; one the shop gave, as it is."""
    return gettext(name) if name in BORN_WITH else name
