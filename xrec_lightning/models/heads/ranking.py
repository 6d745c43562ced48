"""The loss of putting a choice above the negatives of its prompt."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class PairwiseConfig:
    """Which loss a pair of choice and negative has."""

    loss: Literal["logistic", "hinge"] = "logistic"
    """`logistic` goes on pulling pairs apart (BPR, Rendle et al., 2009, arXiv:1205.2618), `hinge`
    stops at the margin."""
    margin: float = 0.0
    """By how much the choice is to be above; more than 0 for `hinge`."""

    def build(self) -> "PairwiseLoss":
        """Return the loss.

        Raises:
            ValueError: If a hinge has no margin: equal scores would be its minimum.
        """
        if self.loss == "hinge" and self.margin <= 0:
            raise ValueError(
                f"pairwise.margin: {self.margin}: with the hinge loss, equal scores would do; set "
                "it above 0"
            )
        return PairwiseLoss(self)


torch.serialization.add_safe_globals([PairwiseConfig])


class PairwiseLoss(nn.Module):
    """The mean loss of pairs. P pairs."""

    def __init__(self, config: PairwiseConfig) -> None:
        super().__init__()
        self.margin = config.margin
        self.penalty = functional.softplus if config.loss == "logistic" else functional.relu

    @override
    def forward(self, differences: Tensor) -> Tensor:
        """Return the loss, shape ``()``, of scores of choices less those of negatives, ``(P,)``."""
        return self.penalty(self.margin - differences).mean()
