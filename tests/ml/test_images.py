"""Pictures: the encoder, what it refuses, and classes learned from folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from apps.ml.cli import main
from apps.ml.encoders.efficientnet import FEATURES, SameConv, network_load
from apps.ml.encoders.images import PIXELS_MAX, ImageEncoder, picture_read, views_of
from apps.ml.errors import ArtifactInvalid, DataMissing, InvalidValue
from apps.ml.image_classes import ImageClasses, LabelledPictures, folders_classify
from tests.factories.datasets import shared_file


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder()


def drawn(path: Path, shape: str, seed: int) -> Path:
    """A filled ellipse or a grid of lines, in any colour and place."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (160, 120), tuple(rng.integers(200, 256, 3).tolist()))
    pen, colour = ImageDraw.Draw(picture), tuple(rng.integers(0, 150, 3).tolist())
    left, top = rng.integers(5, 40, 2).tolist()
    if shape == "disc":
        pen.ellipse((left, top, left + 70, top + 70), fill=colour)
    else:
        for step in range(0, 80, 8):
            pen.line((left + step, top, left + step, top + 75), fill=colour, width=2)
            pen.line((left, top + step, left + 75, top + step), fill=colour, width=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def clock_face() -> Image.Image:
    """Twelve strokes in a ring and two hands."""
    picture = Image.new("RGB", (224, 224), "white")
    pen, middle = ImageDraw.Draw(picture), 112
    pen.ellipse((20, 20, 204, 204), outline="black", width=8)
    pen.line((middle, middle, middle, 45), fill="black", width=6)
    pen.line((middle, middle, 160, middle), fill="black", width=6)
    for hour in range(12):
        x, y = np.cos(hour * np.pi / 6), np.sin(hour * np.pi / 6)
        ends = [(middle + far * x, middle + far * y) for far in (80, 70)]
        pen.line(ends, fill="black", width=4)
    return picture


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for split, count, start in (("train", 6, 0), ("test", 4, 100)):
        for shape in ("disc", "grid"):
            for number in range(count):
                drawn(tmp_path / split / shape / f"{number}.png", shape, start + number)
    return tmp_path / "train", tmp_path / "test"


def test_same_padding_halves_odd_and_even_sizes_upwards() -> None:
    conv = SameConv(1, 1, 3, stride=2)
    assert conv(torch.zeros(1, 1, 7, 8)).shape[2:] == (4, 4)


def test_the_packaged_weights_name_what_they_see() -> None:
    network = network_load()
    assert sum(p.numel() for p in network.parameters()) == 4_652_008
    with torch.inference_mode():
        shares = network(torch.from_numpy(views_of(clock_face()))).softmax(1).mean(0)
    assert int(shares.argmax()) == 409  # ImageNet's "analog clock"
    assert float(shares[409]) > 0.7


def test_vectors_have_length_one_and_do_not_depend_on_company(encoder: ImageEncoder, tmp_path: Path) -> None:
    paths = [drawn(tmp_path / f"{seed}.png", "disc", seed) for seed in range(3)]
    together = encoder.encode(paths)
    assert together.vectors.shape == (3, FEATURES)
    assert np.linalg.norm(together.vectors, axis=1) == pytest.approx(1)
    assert encoder.encode(paths[1:2]).vectors[0] == pytest.approx(together.vectors[1])


def test_a_mirrored_picture_has_the_same_vector(encoder: ImageEncoder, tmp_path: Path) -> None:
    picture = picture_read(drawn(tmp_path / "a.png", "grid", 5))
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert float(encoder.vector(picture) @ encoder.vector(mirrored)) > 0.9999


def test_pictures_that_cannot_be_read_are_named_and_the_rest_goes_on(
    encoder: ImageEncoder, tmp_path: Path
) -> None:
    good = drawn(tmp_path / "good.png", "disc", 1)
    broken = tmp_path / "broken.jpg"
    whole = drawn(tmp_path / "whole.jpg", "disc", 2).read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    text = tmp_path / "text.png"
    text.write_text("no picture")
    empty = tmp_path / "empty.gif"
    empty.touch()
    found = encoder.encode([tmp_path / "absent.png", broken, good, text, empty])
    assert found.paths == (good,)
    assert [one.path.name for one in found.unreadable] == [
        "absent.png",
        "broken.jpg",
        "text.png",
        "empty.gif",
    ]
    assert all(str(one.path) in one.reason for one in found.unreadable)


def test_a_photo_of_30_megapixels_is_read_and_one_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    Image.new("RGB", (6_500, 4_700), "red").save(large)
    assert picture_read(large).getpixel((0, 0)) == pytest.approx((254, 0, 0), abs=2)
    huge = tmp_path / "huge.png"
    Image.new("1", (9_000, 9_000)).save(huge)
    assert PIXELS_MAX < 9_000 * 9_000
    with pytest.raises(DataMissing, match=r"huge\.png: 9000 x 9000 pixels; scale it down"):
        picture_read(huge)


def test_what_is_transparent_lies_on_white_and_a_turned_photo_is_upright(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(clear)
    assert picture_read(clear).getpixel((5, 5)) == (255, 255, 255)
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(turned, exif=exif)
    assert picture_read(turned).size == (20, 40)


def test_a_file_without_the_weights_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(2)}, other)
    with pytest.raises(ArtifactInvalid, match=r"other\.pth holds no weights"):
        network_load(other)


def test_folders_of_shapes_are_told_apart(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = folders
    (test / "disc" / "bad.jpg").write_text("x")
    assert main(["classify-images", "--train", str(train), "--test", str(test), "--json"]) == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out.splitlines()[-1])
    assert answer["accuracy"] == 1
    assert answer["by_class"] == {name: {"accuracy": 1, "pictures": 4} for name in ("disc", "grid")}
    assert answer["validation_accuracy"] == 1
    assert "bad.jpg: cannot be read as a picture" in shown.err


def test_a_class_that_training_lacks_counts_as_wrong(folders: tuple[Path, Path]) -> None:
    train, test = folders
    (test / "grid").rename(test / "plaid")
    answer = folders_classify(train, test)
    assert answer["accuracy"] == 0.5
    assert answer["by_class"]["plaid"]["accuracy"] == 0
    assert answer["warnings"] == ["test: class 'plaid' is not among the training folders"]


def test_folders_without_classes_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = folders
    with pytest.raises(InvalidValue, match=r"train: .*absent' cannot be used"):
        folders_classify(tmp_path / "absent", test)
    with pytest.raises(InvalidValue, match="put each class in its own"):
        folders_classify(train / "disc", test)


def test_one_class_teaches_nothing() -> None:
    alone = LabelledPictures(np.eye(2, FEATURES, dtype=np.float32), np.array(["a", "a"]), ())
    with pytest.raises(DataMissing, match="at least two"):
        ImageClasses.fit(alone)


def test_probabilities_of_two_and_of_three_classes_sum_to_one_and_agree_with_the_classes() -> None:
    rng = np.random.default_rng(0)
    for names in (["a", "b"], ["a", "b", "c"]):
        middles = rng.normal(size=(len(names), FEATURES))
        rows = np.repeat(np.arange(len(names)), 10)
        vectors = (middles[rows] + 0.1 * rng.normal(size=(len(rows), FEATURES))).astype(np.float32)
        labels = np.array(names)[rows]
        head = ImageClasses.fit(LabelledPictures(vectors, labels, ()))
        assert head.probabilities(vectors).sum(axis=1) == pytest.approx(1)
        assert (head.predict(vectors) == labels).all()


@pytest.mark.real_data
def test_real_clothes_are_told_apart(tmp_path: Path) -> None:
    source = shared_file("clothing-images", "labels.csv").parent
    for split, count in (("train", 10), ("validation", 8)):
        for name in ("hat", "pants", "shoes", "dress"):
            chosen = sorted((source / split / name).iterdir())[:count]
            (tmp_path / split / name).mkdir(parents=True)
            for path in chosen:
                (tmp_path / split / name / path.name).symlink_to(path)
    assert folders_classify(tmp_path / "train", tmp_path / "validation")["accuracy"] >= 0.85
