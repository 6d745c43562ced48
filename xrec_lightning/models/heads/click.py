"""From the vectors of a prompt to the logit of a choice."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from xrec_lightning.models.heads.features import features, feed_forward, num_features


@dataclass(frozen=True, kw_only=True)
class ClickHeadConfig(ABC):
    """What makes of the vectors of a prompt the logit of a choice."""

    texts: ClassVar[int]
    """Texts of the prompts that it reads."""

    @abstractmethod
    def build(self, dim: int) -> nn.Module:
        """Return the head over vectors of width ``dim``, as many as `texts`."""


@dataclass(frozen=True, kw_only=True)
class ClickConfig(ClickHeadConfig):
    """Shape of a `ClickHead`, for history and candidate as two texts."""

    texts = 2

    hidden_dim: int = 128
    """Width of the correction's hidden layer; 0 for a linear correction."""
    dropout: float = 0.1
    """Share of the hidden layer that is dropped in training."""
    scale: float = 2.0
    """Factor of the cosine at the start; it is learned."""
    threshold: float = 0.6
    """Cosine at which yes and no are as likely at the start; it is learned."""

    @override
    def build(self, dim: int) -> "ClickHead":
        return ClickHead(self, dim)


@dataclass(frozen=True, kw_only=True)
class JointClickConfig(ClickHeadConfig):
    """Shape of a `JointClickHead`, for prompts of one text."""

    texts = 1

    hidden_dim: int = 0
    """Width of the hidden layer; 0 for a linear head."""
    dropout: float = 0.1
    """Share of the hidden layer that is dropped in training."""

    @override
    def build(self, dim: int) -> "JointClickHead":
        return JointClickHead(self, dim)


torch.serialization.add_safe_globals([ClickConfig, JointClickConfig])


class ClickHead(nn.Module):
    """From the vectors of history and candidate to the logit of a click. B pairs, D width.

    The cosine, scaled, and a correction learned from both vectors, their distance and their
    product. The correction starts at 0, so an untrained head ranks by cosine.
    """

    def __init__(self, config: ClickConfig, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(config.scale))
        self.threshold = nn.Parameter(torch.tensor(config.threshold))
        width = num_features(dim, config.texts)
        self.correction = feed_forward(width, config.hidden_dim, 1, config.dropout)

    @override
    def forward(self, history: Tensor, candidate: Tensor) -> Tensor:
        """Return logits, shape ``(B,)``, of two times B vectors, shape ``(B, D)`` each."""
        correction = self.correction(features(history, candidate)).squeeze(1)
        cosine = functional.cosine_similarity(history, candidate, dim=1)
        return self.scale * (cosine - self.threshold) + correction


class JointClickHead(nn.Module):
    """From the vector of a prompt to the logit of a click; 0 before training. B prompts."""

    def __init__(self, config: JointClickConfig, dim: int) -> None:
        super().__init__()
        self.layers = feed_forward(dim, config.hidden_dim, 1, config.dropout)

    @override
    def forward(self, prompt: Tensor) -> Tensor:
        """Return logits, shape ``(B,)``, of B vectors, shape ``(B, D)``."""
        return self.layers(features(prompt)).squeeze(1)
