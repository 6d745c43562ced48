"""What models that are not trained here say of examples, beside which heads are judged."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrec_lightning.batches import RatingScale
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples
from xrec_lightning.data.text.labels import event_ratings
from xrec_lightning.knowledge.store import KnowledgeStore
from xrec_lightning.schema import ITEM_ID

Floats = NDArray[np.floating]
TEXT_KNN = ("text_knn", "nearest_text")
"""What `text_knn_scores` returns."""
BIAS = ("bias",)
"""What `RatingBias.predict` returns."""
ITEM_SHRINKAGE = 25.0
USER_SHRINKAGE = 10.0
_TINY = 1e-12


def text_knn_scores(examples: Examples, prepared: Prepared, store: KnowledgeStore) -> Floats:
    """Return the cosine of each candidate with its whole history's mean, and with its nearest item.

    Items without a vector are like nothing and left out of the means.

    Returns:
        Scores, as `TEXT_KNN` names them, float32, shape ``(E, 2)``.
    """
    vectors = store.vectors("item", prepared.items()[ITEM_ID].to_list()).numpy()
    vectors = np.concatenate([np.zeros_like(vectors[:1]), vectors])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    scores = np.zeros((len(examples.labels), len(TEXT_KNN)), dtype=np.float32)
    spans = zip(examples.history_starts, examples.history_ends, examples.item_ids, strict=True)
    for row, (start, end, item) in enumerate(spans):
        history = vectors[prepared.item_ids[start:end]]  # (L, D)
        cosines = history @ vectors[item]
        length = np.linalg.norm(history.sum(axis=0))
        scores[row] = cosines.sum() / max(length, _TINY), cosines.max()
    return scores


class RatingBias(NamedTuple):
    """The mean of the ratings and what items add to it (Koren, 2010, "Factor in the neighbors").

    What a user adds is found from the user's own earlier ratings. N items.
    """

    scale: RatingScale
    """Mean and deviation of the ratings that were read."""
    items: Floats
    """What each item adds, shape ``(N + 1,)``."""

    @classmethod
    def fit(cls, prepared: Prepared, is_user: NDArray[np.bool_]) -> "RatingBias":
        """Return the bias of the training ratings of some users.

        Args:
            prepared: A prepared data set with ratings.
            is_user: Which users count, shape ``(U + 1,)``.
        """
        offsets, ratings = np.asarray(prepared.offsets), event_ratings(prepared)
        users = np.repeat(np.arange(1, len(offsets)), np.diff(offsets))
        is_read = np.arange(len(ratings)) < np.asarray(prepared.train_ends)[users - 1]
        is_read &= is_user[users] & ~np.isnan(ratings)
        read, items = ratings[is_read].astype(np.float64), np.asarray(prepared.item_ids)[is_read]
        mean = float(read.mean()) if len(read) else 0.0
        size = len(prepared.items()) + 1
        sums = np.bincount(items, weights=read - mean, minlength=size)
        counts = np.bincount(items, minlength=size)
        scale = RatingScale(mean, float(read.std()) or 1.0 if len(read) else 1.0)
        return cls(scale, sums / (counts + ITEM_SHRINKAGE))

    def predict(self, examples: Examples, prepared: Prepared) -> Floats:
        """Return what mean, item and the user's strictly earlier ratings tell, ``(E, 1)``."""
        item_ids = np.asarray(prepared.item_ids)
        residuals = event_ratings(prepared) - self.scale.mean - self.items[item_ids]
        is_rated = ~np.isnan(residuals)
        # Sums over spans of positions are differences of running sums.
        sums = np.cumsum(np.concatenate([[0.0], np.where(is_rated, residuals, 0.0)]))
        counts = np.cumsum(np.concatenate([[0], is_rated]))
        starts, ends = examples.history_starts, examples.history_ends
        added = (sums[ends] - sums[starts]) / (counts[ends] - counts[starts] + USER_SHRINKAGE)
        ratings = self.scale.mean + self.items[examples.item_ids] + added
        return ratings.astype(np.float32)[:, None]
