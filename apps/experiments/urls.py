"""REST addresses of this app, under /api/v1/."""

from django.urls import path

from apps.experiments import tables_api

app_name = "experiments"
urlpatterns = [
    path("experiments/<slug:code>/<slug:table>.<slug:format>", tables_api.experiment_table_get, name="table"),
]
tables_api.document()
