"""The source colours: told apart by everybody, seen on their background."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SHEET = Path(__file__).parents[2] / "static/portal/portal.css"
SURFACES = {"light": "#ffffff", "dark": "#101828"}
# Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
SIGHT: dict[str, list[list[float]]] = {
    "all colours": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Least distance (OKLab) of Okabe and Ito's set, the usual yardstick, under the same four.
OKABE_ITO = 0.076


def colours(theme: str) -> list[str]:
    sheet = SHEET.read_text(encoding="utf-8")
    light, _, dark = sheet.partition(".dark {")
    block = (dark if theme == "dark" else light).partition("}")[0]
    return [re.findall(rf"--source-{n}: (#[0-9a-f]{{6}})", block)[0] for n in range(8)]


def linear(colour: str) -> NDArray[np.float64]:
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    to_lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
              [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.asarray(np.array(to_lab) @ np.cbrt(np.array(to_lms) @ np.clip(rgb, 0, 1)))


@pytest.mark.parametrize("theme", SURFACES)
def test_colours_are_seen_on_their_surface(theme: str) -> None:
    assert min(contrast(colour, SURFACES[theme]) for colour in colours(theme)) >= 3


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", SURFACES)
def test_colours_are_told_apart_with_any_sight(theme: str, sight: str) -> None:
    seen = [oklab(np.array(SIGHT[sight]) @ linear(colour)) for colour in colours(theme)]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > OKABE_ITO
