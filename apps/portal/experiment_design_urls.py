"""Addresses of the list of experiments, their design and their metrics; the fixed ones before the codes."""

from django.urls import path

from apps.portal.pages import (
    experiment_design,
    experiment_launch,
    experiment_variants,
    experiments,
    unit_metrics,
)

urlpatterns = [
    path("experiments/", experiments.experiments, name="experiments"),
    path("experiments/new/", experiment_design.experiment_new, name="experiment_new"),
    path("experiments/new/save/", experiment_design.experiment_add, name="experiment_add"),
    path("experiments/metrics/", unit_metrics.metrics, name="experiment_metrics"),
    path("experiments/metrics/new/", unit_metrics.metric_new, name="experiment_metric_new"),
    path("experiments/metrics/new/count/", unit_metrics.metric_count, name="experiment_metric_count"),
    path("experiments/metrics/new/save/", unit_metrics.metric_add, name="experiment_metric_add"),
    path(
        "experiments/metrics/<slug:code>/ask/",
        unit_metrics.metric_archive_ask,
        name="experiment_metric_archive_ask",
    ),
    path(
        "experiments/metrics/<slug:code>/archive/", unit_metrics.metric_drop, name="experiment_metric_archive"
    ),
    path("experiments/<slug:code>/design/", experiment_design.design, name="experiment_design"),
    path(
        "experiments/<slug:code>/design/variants/shape/",
        experiment_variants.variants_shape,
        name="experiment_shape",
    ),
    path(
        "experiments/<slug:code>/design/variants/<int:row>/<slug:placement>/",
        experiment_variants.variant_preview,
        name="experiment_preview",
    ),
    path(
        "experiments/<slug:code>/design/variants/<int:row>/<slug:placement>/why/",
        experiment_variants.variant_why,
        name="experiment_preview_why",
    ),
    path(
        "experiments/<slug:code>/design/metrics/plan/", experiment_design.design_plan, name="experiment_plan"
    ),
    path(
        "experiments/<slug:code>/design/metrics/plan.csv",
        experiment_design.plan_csv,
        name="experiment_plan_csv",
    ),
    path("experiments/<slug:code>/design/check/aa/", experiment_launch.design_aa, name="experiment_aa"),
    path("experiments/<slug:code>/design/launch/", experiment_launch.launch, name="experiment_launch"),
    path("experiments/<slug:code>/design/<slug:step>/", experiment_design.design, name="experiment_design"),
    path(
        "experiments/<slug:code>/design/<slug:step>/save/",
        experiment_design.design_save,
        name="experiment_design_save",
    ),
    path("experiments/<slug:code>/ask/<slug:what>/", experiments.experiment_ask, name="experiment_ask"),
    path("experiments/<slug:code>/do/<slug:what>/", experiments.experiment_do, name="experiment_do"),
]
