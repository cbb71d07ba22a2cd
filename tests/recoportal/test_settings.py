"""The settings that every process depends on."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_test_database_is_the_throw_away_one() -> None:
    assert connection.settings_dict["NAME"] == "test_shop"
