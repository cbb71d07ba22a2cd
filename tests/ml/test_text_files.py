from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.text_files import baskets_read, event_lists_read, same_catalogue, sessions_read


def written(tmp_path: Path, text: str, name: str = "file.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def shown(path: Path) -> dict[str, list[str]]:
    lists = event_lists_read(path)
    return {str(lists.names[row]): lists.items[lists.row(row)].tolist() for row in range(len(lists))}


def test_ids_are_any_text_and_lines_of_a_user_are_joined_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, "u2 b a\n\nú1 皿 b\nu2\tc\nu2 a\n")
    assert shown(path) == {"u2": ["b", "a", "c", "a"], "ú1": ["皿", "b"]}


def test_copies_and_bare_lines_are_left_out_and_said(tmp_path: Path) -> None:
    path = written(tmp_path, "u1 a b\nu2\nu1 a b\nu3 a\nu3 a\n")
    assert shown(path) == {"u1": ["a", "b"], "u3": ["a", "a"]}
    first, second = event_lists_read(path).warnings
    assert "no item" in first
    assert "u2" in first
    assert "1 lines were copies" in second


def test_cuts_of_lists(tmp_path: Path) -> None:
    lists = event_lists_read(written(tmp_path, "u1 a b c\nu2 d\n"))
    assert lists.without_last(2).lengths.tolist() == [1, 0]
    assert lists.last(2).items[lists.last(2).item].tolist() == ["b", "c", "d"]
    assert lists.take(np.array([1, 0])).names.tolist() == ["u2", "u1"]
    assert lists.from_end().tolist() == [2, 1, 0, 0]


def test_two_files_share_a_catalogue(tmp_path: Path) -> None:
    train = event_lists_read(written(tmp_path, "u1 a b\n"))
    test = event_lists_read(written(tmp_path, "u1 c a\n", "test.txt"))
    left, right = same_catalogue([train, test])
    assert left.items.tolist() == ["a", "b", "c"]
    assert right.items[right.row(0)].tolist() == ["c", "a"]


def test_a_basket_keeps_names_with_blanks(tmp_path: Path) -> None:
    path = written(tmp_path, 'whole milk,  rolls/buns\n"salt, coarse",whole milk,whole milk\n\n')
    matrix, names, warnings = baskets_read(path)
    assert names == ["rolls/buns", "salt, coarse", "whole milk"]
    assert matrix.toarray().tolist() == [[1, 0, 1], [0, 1, 1]]
    assert len(warnings) == 1


@pytest.mark.parametrize("read", [event_lists_read, sessions_read, baskets_read])
def test_what_cannot_be_read_is_an_error(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(DataMissing, match="is no file"):
        read(tmp_path / "nothing.txt", "train")
    with pytest.raises(DataMissing, match="train: .* holds no"):
        read(written(tmp_path, " \n\n"), "train")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidValue, match="UTF-8"):
        read(binary, "train")
