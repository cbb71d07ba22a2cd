"""Addresses of one experiment's page and of "Analyse a file"; the fixed ones stand before the codes."""

from django.urls import path

from apps.portal.pages import experiment, experiment_actions, experiment_files, experiment_refresh

CODE = "experiments/<slug:code>/"
urlpatterns = [
    path("experiments/files/", experiment_files.experiment_files, name="experiment_files"),
    path(
        "experiments/files/columns/",
        experiment_files.experiment_files_columns,
        name="experiment_files_columns",
    ),
    path(
        "experiments/files/results/",
        experiment_files.experiment_files_analyse,
        name="experiment_files_analyse",
    ),
    path("experiments/peeking/", experiment.peeking, name="experiment_peeking"),
    path("experiments/peeking/figures.csv", experiment.peeking_csv, name="experiment_peeking_csv"),
    path(CODE, experiment.experiment, name="experiment"),
    path(f"{CODE}days/", experiment.experiment_days, name="experiment_days"),
    path(f"{CODE}segments/", experiment.experiment_segments, name="experiment_segments"),
    path(f"{CODE}health/", experiment.experiment_health, name="experiment_health"),
    path(f"{CODE}variants/", experiment.experiment_variants, name="experiment_variants"),
    path(f"{CODE}log/", experiment.experiment_log, name="experiment_log"),
    path(f"{CODE}post-mortem/", experiment.experiment_post_mortem, name="experiment_post_mortem"),
    path(f"{CODE}refresh/", experiment_refresh.experiment_refresh, name="experiment_refresh"),
    path(f"{CODE}learnings/", experiment_actions.experiment_learnings, name="experiment_learnings"),
    path(f"{CODE}act/<slug:what>/", experiment_actions.experiment_act_ask, name="experiment_act_ask"),
    path(f"{CODE}act/<slug:what>/now/", experiment_actions.experiment_act, name="experiment_act"),
    path(f"{CODE}tables/<slug:table>.<slug:format>", experiment.experiment_table, name="experiment_table"),
    path(
        f"{CODE}charts/<slug:tab>/<slug:key>.csv",
        experiment.experiment_chart_csv,
        name="experiment_chart_csv",
    ),
]
