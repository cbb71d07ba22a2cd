"""The event kinds every shop starts with."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# code, name, role, weight as a training signal
BUILT_IN = [
    ("view", "View", "view", 1.0),
    ("click", "Click", "click", 1.0),
    ("search", "Search", "search", 0.0),
    ("seen", "Slate seen", "seen", 0.0),
    ("add_to_cart", "Add to cart", "cart", 3.0),
    ("purchase", "Purchase", "purchase", 5.0),
    ("return", "Return", "return", 0.0),
    ("rating", "Rating", "rating", 0.0),
    ("like", "Like", "like", 2.0),
    ("favourite", "Favourite", "like", 3.0),
    ("share", "Share", "like", 2.0),
    ("play", "Play", "view", 1.0),
    ("dislike", "Dislike", "dislike", -3.0),
    ("not_interested", "Not interested", "dislike", -3.0),
    ("survey_score", "Survey score", "other", 0.0),
]


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add what is missing; a shop's own changes stay."""
    kinds = apps.get_model("events", "EventKind")
    for code, name, role, weight in BUILT_IN:
        kinds.objects.get_or_create(
            code=code, defaults={"name": name, "role": role, "weight": weight, "built_in": True}
        )


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
