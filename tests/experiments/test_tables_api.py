"""Tables of an experiment over the REST API: scope, formats, errors in the one shape, the document."""

import csv
import io
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from django.test import Client

from apps.accounts.services import api_client_create
from apps.experiments.layers import layer_main
from apps.experiments.models import Experiment, ExperimentEvent, Readout
from apps.experiments.tables import FORMATS, TABLES
from apps.experiments.tables_api import COLUMNS
from tests.portal.experiment_samples import STARTED, analysis_sample

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def experiment() -> Experiment:
    made = Experiment.objects.create(
        code="taste", name="Taste", layer=layer_main(), salt="s", status="running", started_at=STARTED
    )
    Readout.objects.create(experiment=made, computed_at=AT, analysis=analysis_sample().as_json())
    ExperimentEvent.objects.create(experiment=made, at=AT, kind="launched", details={"traffic": 0.1})
    return made


def header(*scopes: str) -> dict[str, str]:
    key = api_client_create(name="-".join(scopes), scopes=scopes)[1]
    return {"Authorization": f"Api-Key {key}"}


def test_every_table_is_read_in_both_formats(experiment: Experiment, client: Client) -> None:
    key = header("experiments")
    assert set(COLUMNS) == set(TABLES)
    for table, (_summary, columns) in COLUMNS.items():
        text = client.get(f"/api/v1/experiments/taste/{table}.csv", headers=key)
        assert text["Content-Type"] == "text/csv; charset=utf-8"
        lines = list(csv.DictReader(io.StringIO(text.content.decode("utf-8-sig"))))
        stored = pq.read_table(
            io.BytesIO(client.get(f"/api/v1/experiments/taste/{table}.parquet", headers=key).content)
        )
        assert stored.column_names == list(lines[0]) == [name for name, _kind in columns]
        assert stored.num_rows == len(lines) > 0


def test_what_is_not_there_is_told_in_the_one_shape(experiment: Experiment, client: Client) -> None:
    key = header("experiments")
    for path in ("none/results.csv", "taste/nothing.csv", "taste/results.xlsx"):
        answer = client.get(f"/api/v1/experiments/{path}", headers=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert (
        client.get("/api/v1/experiments/taste/log.csv?day=1", headers=key).json()["error"]["field"] == "day"
    )
    Readout.objects.all().delete()
    answer = client.get("/api/v1/experiments/taste/results.csv", headers=key)
    assert "Nothing has been counted" in answer.json()["error"]["message"]


def test_the_scope_is_needed(experiment: Experiment, client: Client) -> None:
    address = "/api/v1/experiments/taste/results.csv"
    assert client.get(address).status_code == 401
    assert client.get(address, headers=header("recommend")).status_code == 403
    assert client.post(address, headers=header("experiments")).status_code == 405


def test_the_document_names_every_file(client: Client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    wanted = {f"/api/v1/experiments/{{code}}/{table}.{format}" for table in TABLES for format in FORMATS}
    assert wanted <= set(paths)
