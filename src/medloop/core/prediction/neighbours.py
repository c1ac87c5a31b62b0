"""The nearest labelled images by embedding: exact cosine search in numpy, enough for 100,000 rows."""

from __future__ import annotations

import numpy as np


def nearest(embedding: np.ndarray, index: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `index` [N, D] most like `embedding` [D]: (indices int64 [k], cosine similarities float32 [k]).

    The most similar comes first, ties by row. Fewer than k rows give as many as there are. A zero vector is like
    nothing (0).
    """
    if index.ndim != 2 or embedding.shape != (index.shape[1],):
        raise ValueError(
            f"embedding {embedding.shape} does not fit an index of shape {index.shape}"
        )
    norms = np.linalg.norm(index, axis=1) * np.linalg.norm(embedding)
    similarities = (index @ embedding / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    order = np.argsort(-similarities, kind="stable")[: max(k, 0)].astype(np.int64)
    return order, similarities[order]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows [N, D] at length one, float32, so that their products are cosine similarities; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
