"""Addresses of one experiment's page and of "Analyse a file"; the fixed ones stand before the codes."""

from django.urls import path

from apps.portal.pages import experiment_files

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
]
