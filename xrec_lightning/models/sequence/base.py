"""What every sequence encoder promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override


class SequenceEncoder(nn.Module, ABC):
    """Encode histories of embedded items into one state per position.

    Shapes: B batch, L history length, D width.
    """

    @override
    @abstractmethod
    def forward(self, inputs: Tensor, times: Tensor) -> Tensor:
        """Return hidden states; the one at ``t`` sees positions ``0..t`` only.

        Args:
            inputs: Embedded histories, right-padded, shape ``(B, L, D)``.
            times: Times of the interactions in seconds, right-padded, int64, shape ``(B, L)``; an
                encoder may leave them aside.

        Returns:
            Hidden states, shape ``(B, L, D)``; those at padding carry no meaning.
        """


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(ABC):
    """Shape and regularization of a sequence encoder."""

    embed_dim: int = 64
    """Width of item embeddings and hidden states."""
    max_seq_len: int = 50
    """Longest history, in items."""

    @abstractmethod
    def build(self) -> SequenceEncoder:
        """Return a new encoder."""
