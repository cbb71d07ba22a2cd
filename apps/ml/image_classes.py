"""Which class a product's picture shows: a linear head on the frozen network's features.

Logistic regression over vectors of length 1; its strength is chosen by stratified cross-validation inside the
training pictures. A few dozen pictures a class are enough: the network itself is not trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from apps.ml.base import Progress, TrainOptions
from apps.ml.encoders.images import ImageEncoder, Unreadable, pictures_in
from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.topn import Floats

# Inverse penalties to choose from.
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 5
ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """vectors: float32 [n, FEATURES]. labels: class names [n]. unreadable: pictures left out."""

    vectors: Floats
    labels: NDArray[np.str_]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class ImageClasses:
    """A fitted head. classes: names. weights: float64 [classes, FEATURES]; offsets: float64 [classes].

    strength: the inverse penalty chosen; validation: its cross-validated accuracy, None where there were too
    few pictures to validate.
    """

    classes: tuple[str, ...]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    strength: float
    validation: float | None

    @classmethod
    def fit(cls, pictures: LabelledPictures, seed: int = 0) -> ImageClasses:
        """DataMissing with fewer than two classes."""
        names, counts = np.unique(pictures.labels, return_counts=True)
        if len(names) < 2:
            raise DataMissing(f"{len(names)} class with readable pictures; at least two are needed")
        folds = min(FOLDS, int(counts.min()))
        strength, validation = 10.0, None
        if folds >= 2:
            split = StratifiedKFold(folds, shuffle=True, random_state=seed)
            found = [
                float(cross_val_score(_head(s), pictures.vectors, pictures.labels, cv=split).mean())
                for s in STRENGTHS
            ]
            best = int(np.argmax(found))
            strength, validation = STRENGTHS[best], found[best]
        head = _head(strength).fit(pictures.vectors, pictures.labels)
        weights, offsets = head.coef_, head.intercept_
        if len(names) == 2:  # one row says which of two
            weights, offsets = np.vstack((-weights, weights)) / 2, np.concatenate((-offsets, offsets)) / 2
        return cls(tuple(names.tolist()), weights, offsets, strength, validation)

    def probabilities(self, vectors: Floats) -> NDArray[np.float64]:
        """float64 [n, classes], rows summing to 1."""
        raw = vectors @ self.weights.T + self.offsets
        grown = np.exp(raw - raw.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
        return shares

    def predict(self, vectors: Floats) -> NDArray[np.str_]:
        """The likeliest class of each row."""
        return np.array(self.classes)[self.probabilities(vectors).argmax(axis=1)]


def folders_classify(train: Path, test: Path, options: TrainOptions | None = None) -> dict[str, Any]:
    """Learn from train/<class>/*, judge on test/<class>/*: {"accuracy", "by_class", …}.

    A test picture of a class that train lacks counts as wrong. Pictures that can't be read are left out and
    named in "warnings". Raises InvalidValue for a folder that is absent or has no class, DataMissing when
    nothing can be learned or judged.
    """
    options = options or TrainOptions()
    encoder = ImageEncoder(options)
    learned, judged = (
        folder_encode(folder, encoder, field) for field, folder in (("train", train), ("test", test))
    )
    options.report(Progress("head", 0.9))
    head = ImageClasses.fit(learned, options.seed)
    if not len(judged.labels):
        raise DataMissing(f"test: none of the pictures in {test} can be read")
    right = head.predict(judged.vectors) == judged.labels
    strange = sorted(set(judged.labels.tolist()) - set(head.classes))
    warned = [one.reason for one in (*learned.unreadable, *judged.unreadable)]
    warned += [f"test: class {name!r} is not among the training folders" for name in strange]
    return {
        "accuracy": float(right.mean()),
        "by_class": {
            name: {
                "accuracy": float(right[judged.labels == name].mean()),
                "pictures": int((judged.labels == name).sum()),
            }
            for name in sorted(set(judged.labels.tolist()))
        },
        "classes": len(head.classes),
        "train_pictures": len(learned.labels),
        "test_pictures": len(judged.labels),
        "validation_accuracy": head.validation,
        "strength": head.strength,
        "warnings": warned,
    }


def folder_encode(folder: Path, encoder: ImageEncoder, field: str) -> LabelledPictures:
    """The pictures of folder/<class>/ with their class; `field` names the folder in errors."""
    if not folder.is_dir():
        raise InvalidValue(field, str(folder), "Name a folder that has one folder of pictures per class.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and pictures_in(path))
    if not classes:
        raise InvalidValue(field, str(folder), "It holds no folder with pictures; put each class in its own.")
    vectors: list[Floats] = []
    labels: list[str] = []
    unreadable: list[Unreadable] = []
    for one in classes:
        found = encoder.encode(pictures_in(one))
        vectors.append(found.vectors)
        labels += [one.name] * len(found.paths)
        unreadable += found.unreadable
    return LabelledPictures(np.concatenate(vectors), np.array(labels, dtype=np.str_), tuple(unreadable))


def _head(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=ROUNDS)
