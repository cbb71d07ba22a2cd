"""What the studio's words are called in this shop."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds ShopSettings.words."""

    dependencies = [("accounts", "0002_publishable_keys")]

    operations = [
        migrations.AddField(
            model_name="shopsettings",
            name="words",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="By language, what the studio's words are here: product is song, for example.",
            ),
        ),
    ]
