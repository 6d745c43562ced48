"""Matrix factorization for ranking, BPR-MF (Rendle et al., UAI 2009, arXiv:1205.2618)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.baselines.factors import FactorBaseline, FactorConfig, Propagation


@dataclass(frozen=True, kw_only=True)
class BPRMFConfig(FactorConfig):
    """Settings of a `BPRMF`."""

    @override
    def build(self, catalog: Catalog) -> "BPRMF":
        return BPRMF(self, catalog)


torch.serialization.add_safe_globals([BPRMFConfig])


class BPRMF(FactorBaseline):
    """One vector a user and one an item, trained so that taken items score above others.

    Unlike the paper, negatives come from the domain of the positive item, in which it will be
    ranked, and the steps are Adam's on batches.
    """

    @override
    def propagation(self, user_ids: Tensor, item_ids: Tensor) -> Propagation:
        return _as_they_are


def _as_they_are(vectors: Tensor) -> Tensor:
    return vectors
