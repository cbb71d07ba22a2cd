"""The oldest id of a person, by which experiments divide."""

from django.db import migrations, models

# Where the oldest of the linked ids is as old as the person, it is the one; else the person's own id is.
OLDEST = """
UPDATE events_shopper k SET first_known_as = a.external_id
FROM (SELECT DISTINCT ON (merged_into_id) merged_into_id, external_id, first_seen_at
      FROM events_shopper WHERE merged_into_id IS NOT NULL
      ORDER BY merged_into_id, first_seen_at, id) a
WHERE k.id = a.merged_into_id AND a.first_seen_at <= k.first_seen_at
"""


class Migration(migrations.Migration):
    """Adds Shopper.first_known_as, filled from the links there are."""

    dependencies = [("events", "0005_shopper_opted_out")]

    operations = [
        migrations.AddField(
            model_name="shopper",
            name="first_known_as",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The oldest id of this person, by which experiments go; empty: the id itself.",
                max_length=80,
            ),
        ),
        migrations.RunSQL(OLDEST, migrations.RunSQL.noop),
    ]
