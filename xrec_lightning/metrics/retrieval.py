"""Retrieval of the other side of held-out pairs among all items of those pairs."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

from xrec_lightning.metrics.functional import ndcg_at_k, recall_at_k
from xrec_lightning.metrics.ranking import target_ranks


class PairRetrieval(Metric):
    """NDCG@k and recall@k of finding the right side of each left one, by cosine.

    Candidates are the right sides of all pairs seen, each distinct item once, less the left side's
    own item. Shapes: B pairs, D width.

    Args:
        top_k: Cut-off.
    """

    higher_is_better = True
    full_state_update = False

    left: list[Tensor]
    right: list[Tensor]
    left_ids: list[Tensor]
    right_ids: list[Tensor]

    def __init__(self, top_k: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.top_k = top_k
        for name in ("left", "right", "left_ids", "right_ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, left: Tensor, right: Tensor, left_ids: Tensor, right_ids: Tensor) -> None:
        """Add a batch: vectors, shape ``(B, D)``, and items, shape ``(B,)``, of both sides."""
        self.left.append(functional.normalize(left, dim=1))
        self.right.append(functional.normalize(right, dim=1))
        self.left_ids.append(left_ids)
        self.right_ids.append(right_ids)

    @override
    def compute(self) -> dict[str, Tensor]:
        """Return ``ndcg@k`` and ``recall@k``."""
        left_ids, right_ids = dim_zero_cat(self.left_ids), dim_zero_cat(self.right_ids)
        item_ids, columns = torch.unique(right_ids, return_inverse=True)
        right = dim_zero_cat(self.right)
        items = right.new_zeros(len(item_ids), right.size(1))
        items[columns] = right  # texts of one item are equal, so any of its rows will do
        scores = dim_zero_cat(self.left) @ items.T
        scores = scores.masked_fill(left_ids[:, None] == item_ids, float("-inf"))
        ranks = target_ranks(scores, columns).double()
        return {
            f"ndcg@{self.top_k}": ndcg_at_k(ranks, self.top_k).mean(),
            f"recall@{self.top_k}": recall_at_k(ranks, self.top_k).mean(),
        }
