"""Item vectors of the `sequence` channel: a trainable table, knowledge, or both."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.adaptor import AdaptorConfig
from xrec_lightning.models.channels.knowledge import whitened_vectors

Parts = Literal["id", "id+knowledge", "knowledge"]


@dataclass(frozen=True, kw_only=True)
class ItemTableConfig:
    """What the vector of an item is made of, as the encoder's input and as its key."""

    item_input: Parts = "id"
    """What the encoder reads of an item: its row of the trainable table, its knowledge vector
    (whitened to the encoder's width), or their sum. With `knowledge` alone nothing belongs to
    single items, so that the channel knows new ones too."""
    item_key: Parts | None = None
    """What a history is compared with; the same by default."""
    item_init: Literal["random", "knowledge", "zero"] = "random"
    """What the item table holds before training: noise, the whitened knowledge vectors, or nothing,
    which leaves an item to its knowledge. Without text it is always noise."""
    init_std: float = 0.02
    """Standard deviation of the item vectors' entries before training, of table and knowledge."""
    init_noise: float = 0.0
    """Noise added to knowledge in the item table, relative to ``init_std``: items whose texts are
    the same start apart."""
    delta_bound: float | None = None
    """Length of an item's row at most, relative to that of its knowledge, where they are added."""
    popularity_gate: float = 0.0
    """k in the weight ``count / (count + k)`` of an item's row where it is added to knowledge:
    items of few training events lean on knowledge."""
    null_space: int = 0
    """Entries of an item vector that are left to its row; its knowledge is whitened to the others,
    and adds nothing to them nor they to it. 0: both are added in all of them."""
    item_adaptor: AdaptorConfig | None = None
    """A trained map of the knowledge vectors in place of their whitening."""

    @property
    def kinds(self) -> tuple[Parts, Parts]:
        """What input and key are made of."""
        return self.item_input, self.item_key or self.item_input


class ItemTable(nn.Module):
    """Vectors of items, not normalized.

    The sum of row and knowledge is ``t_j + g_j min(1, r |t_j| / |e_j|) e_j``, with knowledge ``t``,
    row ``e``, bound ``r`` and ``g_j = n_j / (n_j + k)`` of ``n_j`` training events: the untrained
    row of an item without any says nothing. ``null_space`` is that of AlphaFuse ("AlphaFuse: Learn
    ID Embeddings for Sequential Recommendation in Null Space of Language Embeddings", Hu et al.,
    SIGIR 2025): rows live in directions that the knowledge vectors vary less in and that are
    dropped from them. Differs from the paper: a number of directions in place of a threshold.

    Shapes: N items, D width.

    Args:
        config: What the vectors are made of.
        catalog: What the data knows.
        width: D.

    Raises:
        ValueError: If an option asks for knowledge or a row that are no part of the vectors.
    """

    weight: nn.Parameter
    knowledge: Tensor
    has_text: Tensor
    gates: Tensor

    def __init__(self, config: ItemTableConfig, catalog: Catalog, width: int) -> None:
        super().__init__()
        _check(config, width)
        self.config = config
        self.input_kind, self.key_kind = config.kinds
        self.has_rows = config.kinds != ("knowledge", "knowledge")
        self.register_parameter("weight", None)
        if self.has_rows:
            table = nn.Embedding(catalog.num_items + 1, config.null_space or width, padding_idx=0)
            self.register_parameter("weight", nn.Parameter(table.weight.data))
        knowledge, has_text, self.adaptor = None, torch.zeros(catalog.num_items + 1), None
        if config.kinds != ("id", "id"):
            knowledge = _stored_knowledge(config, catalog, width)
            has_text = (knowledge.abs().sum(dim=1) > 0).float()
        if config.item_adaptor is not None and knowledge is not None:
            self.adaptor = config.item_adaptor.build(knowledge.size(1), width - config.null_space)
        counts = catalog.train_counts.float()[:, None]
        gates = torch.where(counts > 0, counts / (counts + config.popularity_gate), 0.0)
        # Frozen vectors are the knowledge store's: a checkpoint holds its fingerprint instead.
        self.register_buffer("knowledge", knowledge, persistent=False)
        self.register_buffer("has_text", has_text[:, None], persistent=False)
        self.register_buffer("gates", gates, persistent=False)

    def fill(self, catalog: Catalog) -> None:
        """Set the rows to what they hold before training."""
        if not self.has_rows:
            return
        weight, config = self.weight.data, self.config
        nn.init.normal_(weight, std=config.init_std)
        if config.item_init == "knowledge":
            vectors = whitened_vectors(catalog, weight.size(1)) * config.init_std
            has_text = vectors.abs().sum(dim=1) > 0
            weight[has_text] = (vectors + config.init_noise * weight)[has_text]
        elif config.item_init == "zero":
            weight[self.has_text[:, 0] > 0] = 0.0
        weight[0] = 0.0

    @override
    def forward(self, item_ids: Tensor) -> Tensor:
        """Return what the encoder reads of items, shape ``(..., D)`` for ids of ``(...)``."""
        return self._vectors(self.input_kind, item_ids)

    def keys(self) -> Tensor:
        """Return the keys of all items, before they are normalized, shape ``(N + 1, D)``."""
        return self._vectors(self.key_kind, None)

    def _vectors(self, kind: Parts, item_ids: Tensor | None) -> Tensor:
        if kind == "id":
            return self._rows(item_ids)
        knowledge = self._knowledge(item_ids)
        if kind == "knowledge":
            return knowledge
        rows = self._rows(item_ids)
        if self.config.null_space > 0:  # beside the knowledge, none of which is there
            rows = F.pad(rows, (knowledge.size(-1) - rows.size(-1), 0))
        if self.config.delta_bound is not None:
            longest = self.config.delta_bound * knowledge.norm(dim=-1, keepdim=True)
            shares = longest / rows.norm(dim=-1, keepdim=True).clamp_min(1e-12)
            # Without text the row is all that there is.
            shares = torch.where(_pick(self.has_text, item_ids) > 0, shares.clamp_max(1.0), 1.0)
            rows = rows * shares
        return knowledge + _pick(self.gates, item_ids) * rows

    def _rows(self, item_ids: Tensor | None) -> Tensor:
        if item_ids is None:
            return self.weight
        return F.embedding(item_ids, self.weight, padding_idx=0)

    def _knowledge(self, item_ids: Tensor | None) -> Tensor:
        vectors = _pick(self.knowledge, item_ids)
        if self.adaptor is not None:
            vectors = self.adaptor(vectors) * _pick(self.has_text, item_ids)
            vectors = F.pad(vectors, (0, self.config.null_space))
        return vectors


def _pick(rows: Tensor, item_ids: Tensor | None) -> Tensor:
    return rows if item_ids is None else rows[item_ids]


def _stored_knowledge(config: ItemTableConfig, catalog: Catalog, width: int) -> Tensor:
    """Return what the vectors hold of knowledge before adaptation, shape ``(N + 1, K)``."""
    available = width if catalog.vectors is None else catalog.vectors.size(1)
    kept = min(width - config.null_space, available)
    if config.item_adaptor is not None and catalog.vectors is not None:
        return catalog.vectors
    return F.pad(whitened_vectors(catalog, kept) * config.init_std, (0, width - kept))


def _check(config: ItemTableConfig, width: int) -> None:
    """Raise a ``ValueError`` where options do not fit together."""
    kinds = set(config.kinds)
    settings = "SequenceChannelConfig"
    needs_both = {
        "delta_bound": config.delta_bound is not None,
        "popularity_gate": config.popularity_gate != 0,
    }
    for name, is_on in needs_both.items():
        if is_on and "id+knowledge" not in kinds:
            raise ValueError(
                f"{settings}.{name} is {getattr(config, name)}: set item_input to id+knowledge, or "
                "leave it out"
            )
    if config.popularity_gate < 0 or (config.delta_bound or 0.0) < 0:
        raise ValueError(f"{settings}: popularity_gate and delta_bound are 0 at least")
    if config.item_adaptor is not None and kinds == {"id"}:
        raise ValueError(f"{settings}.item_adaptor: set item_input to knowledge or id+knowledge")
    if config.item_init == "zero" and "id" in kinds:
        raise ValueError(
            f"{settings}.item_init is zero: set item_input and item_key to id+knowledge"
        )
    if config.null_space != 0 and (kinds != {"id+knowledge"} or not 0 < config.null_space < width):
        raise ValueError(
            f"{settings}.null_space is {config.null_space}: set it below the encoder's embed_dim, "
            f"{width}, with item_input and item_key of id+knowledge"
        )
