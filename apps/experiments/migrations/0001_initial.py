"""Layers, experiments, variants, their log and what was measured."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("merchandising", "0004_trial_publications"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Layer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("code", models.SlugField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=80)),
                ("salt", models.CharField(max_length=32)),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Experiment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("code", models.SlugField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=80)),
                ("hypothesis", models.TextField(blank=True, default="")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("ab", "A/B test"),
                            ("bandit", "Bandit"),
                            ("interleaving", "Interleaving"),
                            ("switchback", "Switchback"),
                            ("holdout", "Holdout"),
                        ],
                        default="ab",
                        max_length=12,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("ended", "Ended"),
                        ],
                        db_index=True,
                        default="draft",
                        max_length=8,
                    ),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "None yet"),
                            ("ship", "Ship"),
                            ("roll_back", "Roll back"),
                            ("keep_control", "Keep control"),
                        ],
                        default="",
                        max_length=12,
                    ),
                ),
                ("decision_reason", models.JSONField(blank=True, default=dict)),
                ("winner", models.CharField(blank=True, default="", max_length=40)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("audience", models.JSONField(blank=True, default=dict, help_text="Empty: everybody.")),
                ("layer_from", models.PositiveSmallIntegerField(default=0)),
                ("layer_to", models.PositiveSmallIntegerField(default=10000)),
                (
                    "traffic",
                    models.FloatField(default=1.0, help_text="Share of the slice that takes part now."),
                ),
                (
                    "ramp",
                    models.JSONField(blank=True, default=list, help_text="Shares to go through, rising."),
                ),
                ("ramp_hours", models.PositiveSmallIntegerField(default=24)),
                ("ramp_step", models.PositiveSmallIntegerField(default=0)),
                ("ramped_at", models.DateTimeField(blank=True, null=True)),
                ("salt", models.CharField(max_length=32)),
                ("primary", models.CharField(default="conversion", max_length=60)),
                ("secondary", models.JSONField(blank=True, default=list)),
                ("guardrails", models.JSONField(blank=True, default=list)),
                ("mde", models.FloatField(default=0.05, help_text="Smallest relative change worth finding.")),
                ("alpha", models.FloatField(default=0.05)),
                ("power", models.FloatField(default=0.8)),
                (
                    "correction",
                    models.CharField(
                        choices=[("none", "None"), ("holm", "Holm"), ("bh", "Benjamini-Hochberg")],
                        default="holm",
                        max_length=4,
                    ),
                ),
                (
                    "view",
                    models.CharField(
                        choices=[
                            ("sequential", "Sequential: safe to look at any time"),
                            ("fixed", "Fixed: looked at once, at the end"),
                            ("bayes", "Bayesian"),
                        ],
                        default="sequential",
                        max_length=10,
                    ),
                ),
                ("cuped", models.BooleanField(default=True)),
                (
                    "triggered",
                    models.CharField(
                        choices=[
                            ("served", "Every slate of the placement"),
                            ("different", "Only slates that the variants make different"),
                        ],
                        default="served",
                        max_length=9,
                    ),
                ),
                ("min_days", models.PositiveSmallIntegerField(default=7)),
                ("min_units", models.PositiveIntegerField(default=150, help_text="For each variant.")),
                ("planned_days", models.PositiveSmallIntegerField(default=14)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("auto_rollback", models.BooleanField(default=True)),
                ("auto_ship", models.BooleanField(default=False)),
                ("webhook", models.URLField(blank=True, default="", max_length=300)),
                ("emails", models.JSONField(blank=True, default=list)),
                ("slot_minutes", models.PositiveSmallIntegerField(default=60, help_text="Of a switchback.")),
                (
                    "bandit_floor",
                    models.FloatField(default=0.01, help_text="The least share of an arm of a bandit."),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "placements",
                    models.ManyToManyField(blank=True, related_name="+", to="merchandising.placement"),
                ),
                (
                    "layer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="experiments",
                        to="experiments.layer",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="Readout",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("computed_at", models.DateTimeField()),
                ("through", models.DateTimeField(help_text="Events up to here are in it.", null=True)),
                ("seconds", models.FloatField(default=0)),
                ("units", models.PositiveBigIntegerField(default=0)),
                ("analysis", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True, default="")),
                (
                    "experiment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="readout",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Variant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.SlugField(max_length=40)),
                ("name", models.CharField(max_length=80)),
                ("is_control", models.BooleanField(default=False)),
                ("share", models.FloatField()),
                ("position", models.PositiveSmallIntegerField(default=0)),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="variants",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "ordering": ("position", "id"),
            },
        ),
        migrations.CreateModel(
            name="VariantPublication",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("page_size", models.PositiveSmallIntegerField(blank=True, null=True)),
                (
                    "placement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="merchandising.placement",
                    ),
                ),
                (
                    "publication",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="merchandising.publication",
                    ),
                ),
                (
                    "variant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="publications",
                        to="experiments.variant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DayMoments",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.PositiveSmallIntegerField()),
                ("metric", models.CharField(max_length=60)),
                ("variant", models.CharField(max_length=40)),
                ("segment", models.CharField(blank=True, default="", max_length=80)),
                ("moments", models.JSONField(default=dict)),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="moments",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("experiment", "day", "metric", "variant", "segment"), name="day_moments_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ExperimentEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(max_length=24)),
                ("details", models.JSONField(default=dict)),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "experiment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log",
                        to="experiments.experiment",
                    ),
                ),
            ],
            options={
                "ordering": ("at", "id"),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["experiment", "kind", "at"], name="experiment_event_kind")],
            },
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("layer_from__lt", models.F("layer_to")), ("layer_to__lte", 10000)),
                name="experiment_slice_in_layer",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("traffic__gte", 0), ("traffic__lte", 1)),
                name="experiment_traffic_is_share",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("status", "draft"), ("started_at__isnull", False), _connector="OR"),
                name="experiment_started",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "ended"), _negated=True), ("ended_at__isnull", False), _connector="OR"
                ),
                name="experiment_ended",
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.UniqueConstraint(fields=("experiment", "code"), name="variant_code_once"),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_control", True)), fields=("experiment",), name="variant_one_control"
            ),
        ),
        migrations.AddConstraint(
            model_name="variant",
            constraint=models.CheckConstraint(
                condition=models.Q(("share__gte", 0), ("share__lte", 1)), name="variant_share_is_share"
            ),
        ),
        migrations.AddConstraint(
            model_name="variantpublication",
            constraint=models.UniqueConstraint(
                fields=("variant", "placement"), name="variant_placement_once"
            ),
        ),
    ]
