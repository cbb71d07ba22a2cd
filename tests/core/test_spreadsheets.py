"""No cell of a CSV runs in a spreadsheet, and no number loses its sign."""

import pytest

from apps.core.spreadsheets import cell_safe


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =HYPERLINK(1)", "\r=1"]
)
def test_formula_is_defused(text: str) -> None:
    assert cell_safe(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-5", "+4,50", "-1.25", "Mug", "a=b", "", None, -5, -1e-9, True, {"a": 1}])
def test_the_rest_stays(value: object) -> None:
    assert cell_safe(value) == value
