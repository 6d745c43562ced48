"""What every sequence encoder promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from typing_extensions import override


class History(NamedTuple):
    """What an encoder reads. Shapes: B batch, L history length, D width."""

    inputs: Tensor
    """Embedded items, right-padded, shape ``(B, L, D)``."""
    times: Tensor
    """Seconds, int64, shape ``(B, L)``."""
    domain_ids: Tensor
    """Domains of the interactions, 0 at padding, shape ``(B, L)``."""


class Requests(NamedTuple):
    """The states that are asked for. Shapes: B batch, P targets of a history."""

    positions: Tensor
    """Last position that the state may see, -1 where there is none, shape ``(B, P)``."""
    domain_ids: Tensor
    """Domain of the item that is asked for, shape ``(B, P)``."""


def last_states(hidden: Tensor, state_positions: Tensor) -> Tensor:
    """Return ``hidden`` at each target's position, zero where there is no history.

    Args:
        hidden: Shape ``(B, L, D)``.
        state_positions: Shape ``(B, P)``, -1 where there is no history.

    Returns:
        Shape ``(B, P, D)``.
    """
    index = state_positions.clamp_min(0)[..., None].expand(-1, -1, hidden.size(-1))
    return hidden.gather(1, index) * (state_positions >= 0)[..., None]


class SequenceEncoder(nn.Module, ABC):
    """Encode histories of embedded items into one state per position.

    Shapes: B batch, L history length, D width.
    """

    reads_target_domain: bool = False
    """Whether a state depends on the domain of the item that is asked for."""

    @override
    @abstractmethod
    def forward(self, inputs: Tensor, times: Tensor, domain_ids: Tensor | None = None) -> Tensor:
        """Return hidden states; the one at ``t`` sees positions ``0..t`` only.

        Args:
            inputs: Embedded histories, right-padded, shape ``(B, L, D)``.
            times: Times of the interactions in seconds, right-padded, int64, shape ``(B, L)``; an
                encoder may leave them aside.
            domain_ids: Domains of the interactions, right-padded with 0, shape ``(B, L)``; 0 or
                ``None`` is what all domains share. An encoder may leave them aside.

        Returns:
            Hidden states, shape ``(B, L, D)``; those at padding carry no meaning.
        """

    def states(self, history: History, requests: Requests) -> Tensor:
        """Return the state that each request asks for, zero without a history, ``(B, P, D)``."""
        return last_states(self(*history), requests.positions)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(ABC):
    """Shape and regularization of a sequence encoder."""

    embed_dim: int = 64
    """Width of item embeddings and hidden states."""
    max_seq_len: int = 50
    """Longest history, in items."""

    @abstractmethod
    def build(self, num_domains: int = 1) -> SequenceEncoder:
        """Return a new encoder; ``num_domains`` matters where domains have weights of their own."""
