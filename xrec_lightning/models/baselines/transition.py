"""First-order transitions: what followed the items of the last basket."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.baselines.base import Baseline, BaselineConfig, SparseCounts


@dataclass(frozen=True, kw_only=True)
class TransitionConfig(BaselineConfig):
    """First-order transitions have no settings."""

    @override
    def build(self, catalog: Catalog) -> "Transition":
        return Transition(catalog)


torch.serialization.add_safe_globals([TransitionConfig])


class Transition(Baseline):
    """Score an item by the training users who took it next after the last item of the history.

    A first-order Markov chain; interactions of equal time have no order, so that each of them
    follows the last interaction before them. Popularity breaks ties.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.followers = SparseCounts(catalog.num_items + 1)

    @override
    def observe(self, batch: SequenceBatch) -> None:
        row, column = (batch.target_ids > 0).nonzero(as_tuple=True)
        previous = batch.item_ids[row, batch.state_positions[row, column]]
        self.followers.add(previous, batch.target_ids[row, column])

    @override
    def finish(self) -> None:
        self.followers.finish()

    @override
    def scores(self, batch: SequenceBatch) -> Tensor:
        position = batch.state_positions[:, :1].clamp_min(0)
        last = batch.item_ids.gather(1, position)[:, 0]
        counts = torch.from_numpy(self.followers.matrix()[last.cpu().numpy()].toarray())
        return counts.to(last.device) + self.popularity_prior()
