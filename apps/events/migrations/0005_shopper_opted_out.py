"""A shopper's standing wish that nothing personal is used."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds Shopper.opted_out."""

    dependencies = [("events", "0004_inbox")]

    operations = [
        migrations.AddField(
            model_name="shopper",
            name="opted_out",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text=(
                    "Wants nothing personal: slates know nothing of them, and exposures do not name them."
                ),
                verbose_name="opted out",
            ),
        ),
    ]
