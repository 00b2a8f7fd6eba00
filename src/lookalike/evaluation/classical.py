"""Classical maps to few dimensions, to compare learned embeddings with.

All are scikit-learn's but one. The manifolds, LLE (Roweis and Saul 2000) and Isomap (Tenenbaum, de
Silva and Langford 2000), only place the vectors they were fitted on; what they say of another is an
interpolation between its neighbours among those. That is what DrLIM is better at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lookalike import _check
from lookalike.errors import UsageError
from lookalike.evaluation.mahalanobis import fit_mahalanobis

Method = Literal["pca", "lda", "lle", "isomap", "nca", "mahalanobis"]
Vectors = npt.NDArray[np.float64]

_LABELLED: Final = ("lda", "nca", "mahalanobis")
_METHODS: Final = ("pca", "lle", "isomap", *_LABELLED)


@dataclass(frozen=True)
class ClassicalMap:
    """A fitted map.

    Attributes:
        method: its name.
        width: D, of the vectors it takes.
        dim: of those it returns.
        transform: takes (M, D) and returns (M, dim).
    """

    method: str
    width: int
    dim: int
    transform: Callable[[Vectors], Vectors]

    def map(self, vectors: npt.NDArray[np.floating]) -> Vectors:
        """Return (M, dim) float64 of (M, D) vectors, whether the map was fitted on them or not.

        pca, lda, nca and mahalanobis are linear. lle weighs the nearest fitted vectors so that they
        rebuild a new one, and places it by these weights; isomap places it by its shortest paths to
        all fitted ones.

        Raises:
            ValueError: they are no matrix of width D.
        """
        _check.matrix(vectors=vectors)
        if vectors.shape[1] != self.width:
            raise ValueError(f"vectors must be {self.width} wide, got {vectors.shape[1]}")
        mapped = self.transform(np.asarray(vectors, dtype=np.float64))
        return np.asarray(mapped, dtype=np.float64)


def fit_classical(
    method: Method,
    vectors: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64] | None = None,
    *,
    dim: int = 2,
    neighbours: int = 5,
    seed: int = 0,
) -> ClassicalMap:
    """Fit a classical map.

    Args:
        method: pca (principal components), lda (linear discriminants), lle (locally linear
            embedding), isomap, nca (neighbourhood components, begun with the principal ones), or
            mahalanobis (see `fit_mahalanobis`).
        vectors: (N, D), finite.
        labels: (N,) classes, for lda, nca and mahalanobis; vectors of label -1 take no part.
        dim: of the map, in [1, D]; of lda also below the number of classes.
        neighbours: of lle and isomap, in [1, N); lle regularises where they are more than D.
        seed: of nca, and of the search for eigenvectors in lle.

    Raises:
        ValueError: an argument is out of its range, or labels are missing.
        UsageError: scikit-learn is not installed.
    """
    _check.one_of(_METHODS, method=method)
    _check.matrix(vectors=vectors)
    fitted = np.asarray(vectors, dtype=np.float64)
    classes = np.zeros(len(fitted), dtype=np.int64)
    if not np.isfinite(fitted).all():
        raise ValueError("vectors must be finite")
    if method in _LABELLED:
        if labels is None:
            raise ValueError(f"labels must be given for {method}, got None")
        _check.labels_of(len(vectors), labels=labels)
        fitted, classes = fitted[labels >= 0], labels[labels >= 0]
    count, width = map(int, fitted.shape)
    limits: dict[str, int] = {
        "pca": min(count, width),
        "lda": min(len(np.unique(classes)) - 1, width),
    }
    most = limits.get(method, width)
    if not 1 <= dim <= most:
        raise ValueError(f"dim must be in [1, {most}] for {method}, got {dim}")
    if method in ("lle", "isomap") and not 1 <= neighbours < count:
        raise ValueError(f"neighbours must be in [1, {count - 1}], got {neighbours}")
    if method == "mahalanobis":
        matrix = fit_mahalanobis(fitted, classes, dim=dim)
        return ClassicalMap(method, width, dim, lambda new: new @ matrix.T)
    estimator = _estimator(method, dim=dim, neighbours=neighbours, seed=seed)
    estimator.fit(fitted, classes)
    return ClassicalMap(method, width, dim, estimator.transform)


def _estimator(method: str, *, dim: int, neighbours: int, seed: int) -> Any:
    """Return scikit-learn's, not fitted; it is imported here, as it takes seconds and is optional.

    Raises:
        UsageError: it is not installed.
    """
    try:
        from sklearn.decomposition import PCA  # noqa: PLC0415
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: PLC0415
        from sklearn.manifold import Isomap, LocallyLinearEmbedding  # noqa: PLC0415
        from sklearn.neighbors import NeighborhoodComponentsAnalysis  # noqa: PLC0415
    except ImportError as missing:
        raise UsageError(
            f"{method} needs scikit-learn\n  fix: pip install 'lookalike[cluster]'"
        ) from missing
    makes: dict[str, Callable[[], Any]] = {
        "pca": lambda: PCA(dim, svd_solver="full"),
        "lda": lambda: LinearDiscriminantAnalysis(n_components=dim),
        "lle": lambda: LocallyLinearEmbedding(
            n_neighbors=neighbours, n_components=dim, random_state=seed
        ),
        "isomap": lambda: Isomap(n_neighbors=neighbours, n_components=dim),
        "nca": lambda: NeighborhoodComponentsAnalysis(
            n_components=dim, init="pca", random_state=seed
        ),
    }
    return makes[method]()
