"""What every channel of the fusion scorer promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from xrec_lightning.batches import Catalog, SequenceBatch


class Phrase(NamedTuple):
    """How a channel explains an item to people."""

    with_cause: str
    """Comes before the title of a history item."""
    alone: str
    """Said where no history item stands out."""


class Channel(nn.Module, ABC):
    """One source of evidence: a query of the history and a key of every item.

    Queries and keys have length 1 or, where the channel knows nothing, length 0, so that their
    inner product is a cosine, or 0. Shapes: B histories, P targets, L history, N items, D width.
    """

    name: str
    """Name in logs, files and reasons."""
    phrase: Phrase
    """What people read as the reason."""
    trains: bool = True
    """Whether the channel takes part in the training loss; one without parameters does not."""

    def prepare(self, batch: SequenceBatch) -> SequenceBatch:
        """Return the training batch with the targets that this channel asks for: the given ones.

        A channel that is trained to restore hidden interactions chooses others.
        """
        return batch

    @abstractmethod
    def queries(self, batch: SequenceBatch) -> Tensor:
        """Return the query of every target, shape ``(B, P, D)``."""

    @abstractmethod
    def keys(self) -> Tensor:
        """Return the key of every item, padding first, shape ``(N + 1, D)``."""

    @abstractmethod
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        """Return what each interaction of the history adds to the cosine of items.

        Args:
            batch: Histories with one target each.
            item_ids: Items to be explained, shape ``(B, K)``.

        Returns:
            Shape ``(B, K, L)``. In linear channels they sum to the cosine; elsewhere each is the
            change of the cosine when the interaction is removed.
        """

    def hold(self, name: str, values: Tensor) -> None:
        """Set ``values`` as a parameter where the channel trains, else as what the config says."""
        if self.trains:
            self.register_parameter(name, nn.Parameter(values))
        else:
            self.register_buffer(name, values, persistent=False)


@dataclass(frozen=True, kw_only=True)
class ChannelConfig(ABC):
    """Settings of a channel."""

    weight: float = 1.0
    """Weight of the channel's cosine before training, in every domain."""

    @abstractmethod
    def build(self, catalog: Catalog) -> Channel:
        """Return a new channel for the items of ``catalog``."""


def normalize(vectors: Tensor) -> Tensor:
    """Return ``vectors`` with length 1 along the last axis; zero vectors stay zero."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)
