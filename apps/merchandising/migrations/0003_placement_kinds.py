"""More kinds of placements with what they do about things bought and seen; sponsors' campaigns."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

KINDS = [
    ("shopper", "For a shopper"),
    ("item", "For a product"),
    ("together", "Bought together"),
    ("viewed", "Because you viewed"),
    ("cart", "For a cart"),
    ("again", "Buy again"),
    ("trending", "Trending"),
    ("new", "New arrivals"),
    ("promotion", "On promotion"),
    ("sponsored", "Sponsored"),
    ("category", "For a category page"),
    ("search", "For search results"),
]
ACTIONS = [
    ("keep", "Show them like all others"),
    ("last", "Show them after all others"),
    ("hide", "Leave them out"),
]
ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")
SKU = models.CharField(max_length=64)


class Migration(migrations.Migration):
    """Adds Campaign, CampaignDay and settings of Placement."""

    dependencies = [("merchandising", "0002_publications_immutable")]

    operations = [
        migrations.AlterField("placement", "kind", models.CharField(choices=KINDS, max_length=12)),
        migrations.AddField(
            "placement",
            "bought_days",
            models.PositiveSmallIntegerField(
                blank=True,
                help_text="Leave out only what was bought within so many days; empty: ever.",
                null=True,
            ),
        ),
        migrations.AddField(
            "placement", "seen_action", models.CharField(choices=ACTIONS, default="keep", max_length=4)
        ),
        migrations.AddField(
            "placement",
            "seen_minutes",
            models.PositiveSmallIntegerField(
                default=60, help_text="A product counts as just seen for so many minutes."
            ),
        ),
        migrations.AddField(
            "placement",
            "second_price",
            models.BooleanField(
                default=False,
                help_text="A click costs what the next sponsor would have needed to stand there.",
            ),
        ),
        migrations.AddField(
            "placement",
            "trace_share",
            models.FloatField(default=0.0, help_text="Share of slates, 0 to 1, whose whole trace is kept."),
        ),
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("id", ID.clone()),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("name", models.CharField(max_length=80)),
                ("sponsor", models.CharField(blank=True, default="", max_length=80)),
                (
                    "skus",
                    django.contrib.postgres.fields.ArrayField(base_field=SKU, default=list, size=None),
                ),
                (
                    "bid",
                    models.DecimalField(decimal_places=2, help_text="The most a click costs.", max_digits=9),
                ),
                ("daily_budget", models.DecimalField(decimal_places=2, max_digits=12)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("active", models.BooleanField(default=True)),
            ],
            options={"ordering": ("-active", "name")},
        ),
        migrations.CreateModel(
            name="CampaignDay",
            fields=[
                ("id", ID.clone()),
                ("product_id", models.BigIntegerField()),
                ("day", models.DateField()),
                ("shown", models.PositiveIntegerField(default=0)),
                ("clicks", models.PositiveIntegerField(default=0)),
                ("spend", models.DecimalField(decimal_places=4, default=0, max_digits=12)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="days",
                        to="merchandising.campaign",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["day"], name="campaign_day")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["campaign", "product_id", "day"], name="campaign_day_once"
                    )
                ],
            },
        ),
    ]
