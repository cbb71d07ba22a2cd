"""Traces that are kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds SlateTrace."""

    dependencies = [("serving", "0003_sent_at")]

    operations = [
        migrations.CreateModel(
            name="SlateTrace",
            fields=[
                ("request_id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_index=True)),
                ("placement", models.CharField(max_length=40)),
                ("shopper_id", models.BigIntegerField(blank=True, null=True)),
                ("rung", models.CharField(max_length=20)),
                ("for_staff", models.BooleanField(default=False)),
                ("trace", models.JSONField()),
            ],
            options={
                "verbose_name": "kept trace",
                "verbose_name_plural": "kept traces",
                "ordering": ("-at",),
                "default_permissions": ("view",),
            },
        ),
    ]
