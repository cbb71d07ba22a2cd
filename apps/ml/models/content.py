"""Content: TF-IDF of words and characters plus the category branch; profiles are normalised sums of item
vectors.

Character n-grams within words carry languages written without spaces (Chinese) and spelling variants. All
vectors have length 1, so a score is a cosine and a long text or a long history wins nothing by its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config
from apps.ml.configs.content import ContentConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.item_knn import indicator, interest_of
from apps.ml.signals import Csr, user_item
from apps.ml.similarity import normalised, norms
from apps.ml.topn import Floats

MAX_DOCUMENT_SHARE = 0.5


@dataclass
class ContentModel(Model[ContentConfig]):
    """vectors: float32 CSR [N, n_features], rows of length 1. profile: float32 CSR [n_users, N], decayed
    interest. vocabularies: feature names of words and chars in column order; idf: their weights, one after
    the other.
    """

    vectors: Csr
    profile: Csr
    vocabularies: dict[str, list[str]]
    idf: NDArray[np.float64]

    family: ClassVar[str] = "content"
    config_class: ClassVar[type[Config]] = ContentConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: ContentConfig, options: TrainOptions) -> Self:
        texts = dataset.text("text") if "text" in dataset.catalogue else dataset.text("title")
        paths = dataset.text("category")
        parts, vocabularies, weights = [], {}, []
        for name, weight in (("words", config.word_weight), ("chars", config.char_weight)):
            options.report(Progress(name, 0.1 if name == "words" else 0.4))
            vectoriser = _vectoriser(name, config, len(texts))
            vectors = _fit(vectoriser, texts) if weight > 0 else None
            vocabularies[name] = [] if vectors is None else vectoriser.get_feature_names_out().tolist()
            if vectors is not None:
                weights.append(vectoriser.idf_)
                parts.append(vectors * weight)
        parts.append(_branches(paths) * config.category_weight)
        vectors = normalised(sparse.csr_matrix(sparse.hstack(parts)))
        return cls(
            config,
            History.from_dataset(dataset),
            vectors,
            user_item(dataset, config.profile_half_life_days, aggregate="max"),
            vocabularies,
            np.concatenate(weights) if weights else np.zeros(0),
        )

    def score_users(self, rows_B: Ints) -> Floats:
        return self._cosine(self.profile[rows_B] @ self.vectors)

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._cosine(indicator(sessions, len(self.history.items)) @ self.vectors)

    def score_similar(self, rows_B: Ints) -> Floats:
        return self._cosine(self.vectors[rows_B])

    def items_of(self, row: int) -> Ints:
        return self.profile[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: the cosine is a sum over the profile's items, divided by the length of the profile."""
        interest = interest_of(self.profile, row, items_L)
        likeness = np.asarray((self.vectors[items_L] @ self.vectors[item].T).todense(), np.float64).ravel()
        profile = sparse.csr_matrix(sparse.csr_matrix(interest) @ self.vectors[items_L])
        return interest * likeness / max(float(norms(profile)[0]), 1e-12)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        profile = user_item(dataset, self.config.profile_half_life_days, aggregate="max")
        return replace(self, history=history, profile=profile, metrics=dict(self.metrics))

    def score_texts(self, texts: Sequence[str]) -> Floats:
        """Cosine of free texts (a query, a product not in the catalogue yet) to every item: float32 [n,
        N].
        """
        parts, start = [], 0
        for name, weight in (("words", self.config.word_weight), ("chars", self.config.char_weight)):
            names = self.vocabularies[name]
            if names:
                vectoriser = _vectoriser(name, self.config, 1, names)
                vectoriser.idf_ = self.idf[start : start + len(names)]
                parts.append(vectoriser.transform(texts) * weight)
                start += len(names)
        width = self.vectors.shape[1] - sum(part.shape[1] for part in parts)
        parts.append(sparse.csr_matrix((len(texts), width)))
        return self._cosine(sparse.csr_matrix(sparse.hstack(parts)))

    def _cosine(self, queries: Csr) -> Floats:
        return positive_only((normalised(sparse.csr_matrix(queries)) @ self.vectors.T).toarray())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **csr_to_arrays("vectors", self.vectors),
            **csr_to_arrays("profile", self.profile),
            "idf": self.idf,
            "n_features": np.array([self.vectors.shape[1]]),
        }

    def to_texts(self) -> dict[str, Any]:
        return {"vocabularies": self.vocabularies}

    @classmethod
    def from_parts(
        cls, config: ContentConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        n_users, n_items = len(history.users), len(history.items)
        return cls(
            config,
            history,
            csr_from_arrays("vectors", arrays, (n_items, int(arrays["n_features"][0]))),
            csr_from_arrays("profile", arrays, (n_users, n_items)),
            texts["vocabularies"],
            arrays["idf"],
        )


def _vectoriser(
    name: str, config: ContentConfig, n_texts: int, names: list[str] | None = None
) -> TfidfVectorizer:
    words = name == "words"
    return TfidfVectorizer(
        analyzer="word" if words else "char_wb",
        ngram_range=(1, 1) if words else (config.char_low, max(config.char_low, config.char_high)),
        max_features=None if names else (config.word_features if words else config.char_features),
        # a term of one product links nothing; a term of half the catalogue tells nothing apart
        min_df=2 if n_texts >= 50 else 1,
        max_df=MAX_DOCUMENT_SHARE if n_texts >= 50 else 1.0,
        sublinear_tf=True,
        vocabulary={term: column for column, term in enumerate(names)} if names else None,
        dtype=np.float32,
    )


def _fit(vectoriser: TfidfVectorizer, texts: list[str]) -> Csr | None:
    try:
        return sparse.csr_matrix(vectoriser.fit_transform(texts))
    except ValueError:
        return None  # scikit-learn's answer to an empty vocabulary: no product has text


def _branches(paths: list[str]) -> Csr:
    """Category path and all branches above it, rows of length 1: float32 CSR [N, n_branches]."""
    rows, names = [], []
    for row, path in enumerate(paths):
        steps = [step.strip() for step in path.split(">") if step.strip()]
        for depth in range(1, len(steps) + 1):
            rows.append(row)
            names.append(" > ".join(steps[:depth]))
    distinct, columns = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    matrix = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (np.array(rows, dtype=np.int64), columns)),
        shape=(len(paths), max(1, len(distinct))),
    )
    return normalised(matrix)
