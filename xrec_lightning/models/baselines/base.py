"""What every baseline promises: it counts training interactions, then scores."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from xrec_lightning.batches import Catalog, SequenceBatch


class Baseline(nn.Module, ABC):
    """A recommender without gradients. Shapes: B histories, N items."""

    train_counts: Tensor

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.num_items = catalog.num_items
        self.register_buffer("train_counts", catalog.train_counts.float(), persistent=False)

    def observe(self, batch: SequenceBatch) -> None:
        """Count the training interactions of ``batch``; whole histories, each once."""

    def finish(self) -> None:
        """Turn counts into what scoring needs, once every interaction was observed."""

    @abstractmethod
    def scores(self, batch: SequenceBatch) -> Tensor:
        """Return the score of every item for the (single) target, padding first, ``(B, N + 1)``."""

    def popularity_prior(self) -> Tensor:
        """Return a popularity score below 1e-3, which only breaks ties, shape ``(N + 1,)``."""
        return 1e-3 * self.train_counts / (self.train_counts.max() + 1.0)


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(ABC):
    """Settings of a baseline."""

    @abstractmethod
    def build(self, catalog: Catalog) -> Baseline:
        """Return a new baseline for the items of ``catalog``."""


class SparseCounts(nn.Module):
    """A square sparse matrix that is counted first and then read by rows.

    Its size is known only after counting, so it travels in checkpoints as extra state.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.pending: list[Tensor] = []
        self.rows = torch.zeros(size + 1, dtype=torch.int64)
        self.columns = torch.zeros(0, dtype=torch.int64)
        self.values = torch.zeros(0)

    def add(self, left: Tensor, right: Tensor) -> None:
        """Count the pairs ``(left, right)``, both of shape ``(M,)``."""
        self.pending.append((left * self.size + right).cpu())  # counted on the CPU

    def finish(self) -> None:
        """Sum the counts of equal pairs; without new pairs the old counts stay."""
        if not self.pending:
            return
        pairs, counts = torch.unique(torch.cat(self.pending), return_counts=True)
        self.pending = []
        left = pairs // self.size
        self.rows = torch.searchsorted(left, torch.arange(self.size + 1))
        self.columns, self.values = pairs % self.size, counts.float()

    def matrix(self) -> csr_array:
        """Return the counts as a sparse matrix of float32, shape ``(size, size)``."""
        parts = (self.values.numpy(), self.columns.numpy(), self.rows.numpy())
        return csr_array(parts, shape=(self.size, self.size))

    def get_extra_state(self) -> dict[str, Tensor]:
        """Return the counted matrix for a checkpoint."""
        return {"rows": self.rows, "columns": self.columns, "values": self.values}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Take the counted matrix from a checkpoint."""
        self.rows, self.columns, self.values = state["rows"], state["columns"], state["values"]
