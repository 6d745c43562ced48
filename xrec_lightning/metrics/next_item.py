"""Full ranking of the next item by text vectors alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, Metric
from torchmetrics.utilities.data import dim_zero_cat
from typing_extensions import override

from xrec_lightning.batches import Catalog, ItemTextBatch, SequenceBatch, WeightedTargets
from xrec_lightning.metrics.probe import domain_probe
from xrec_lightning.metrics.ranking import default_metrics, target_ranks
from xrec_lightning.metrics.sliced import SlicedRankMetrics

WITHOUT_TEXT = -2.0
"""Score of items without text: they come last, as if unlike everything."""


class EncodedItems(Metric):
    """The vectors of the items of all processes. T distinct texts, M items, D width.

    Args:
        num_items: Items have indices 1 to ``num_items``.
    """

    full_state_update = False

    vectors: list[Tensor]
    text_ids: list[Tensor]
    item_ids: list[Tensor]
    leader_ids: list[Tensor]
    is_candidate: list[Tensor]

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.num_items = num_items
        for name in ("vectors", "text_ids", "item_ids", "leader_ids", "is_candidate"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    @override
    def update(self, vectors: Tensor, batch: ItemTextBatch) -> None:
        """Add the vectors of a batch's texts, shape ``(T, D)``."""
        self.vectors.append(functional.normalize(vectors.float(), dim=1))
        self.text_ids.append(batch.text_ids)
        self.item_ids.append(batch.item_ids)
        self.leader_ids.append(batch.leader_ids)
        self.is_candidate.append(batch.is_candidate.long())

    @override
    def compute(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return unit vectors, ``(N + 1, D)``, first items of texts, and candidates."""
        vectors, text_ids = dim_zero_cat(self.vectors), dim_zero_cat(self.text_ids)
        item_ids, leader_ids = dim_zero_cat(self.item_ids), dim_zero_cat(self.leader_ids)
        table = vectors.new_zeros(self.num_items + 1, vectors.size(1))
        table[text_ids] = vectors
        table[item_ids] = table[leader_ids]
        # Sorted, since the order tells how many processes there were.
        return table, text_ids.sort().values, item_ids[dim_zero_cat(self.is_candidate) > 0]


class NextItemRetrieval(nn.Module):
    """Rank the candidates of each target's domain by the cosine with the history's mean vector.

    Seen items are no candidates, ties count against the model. It is what a text-kNN baseline
    does with a knowledge store of the same vectors. Every process adds its items and its targets;
    all items count everywhere.

    Args:
        catalog: What the data knows.
        probe: Whether the figures tell how well vectors give their domain away.
    """

    def __init__(self, catalog: Catalog, *, probe: bool = True) -> None:
        super().__init__()
        self.catalog = catalog
        self.probe = probe and len(catalog.domains) > 1
        self.items = EncodedItems(catalog.num_items)
        self.ranks = SlicedRankMetrics(default_metrics(), (*catalog.domains, *catalog.slices))
        self.loss = MeanMetric()
        self.targets: list[WeightedTargets] = []
        self.sample_size = 0

    def add_items(self, vectors: Tensor, batch: ItemTextBatch) -> None:
        """Add items with the vectors of their texts, shape ``(T, D)``."""
        self.items.update(vectors, batch)
        self.sample_size = batch.sample_size

    def add_targets(self, batch: WeightedTargets) -> None:
        """Add targets; they are ranked when all items are known."""
        self.targets.append(batch)

    def compute(self, temperature: float) -> dict[str, Tensor]:
        """Return the figures, none without a target.

        Args:
            temperature: Divisor of the cosines in ``loss``, the cross-entropy over candidates.

        Returns:
            The ranking metrics in total and by domain and slice, ``loss``, and ``domain_probe``.
            The names of figures over drawn candidates say how many of a domain were drawn.
        """
        vectors, text_ids, candidate_ids = self.items.compute()
        is_candidate = self._by_domain(candidate_ids)
        for batch in self.targets:
            scores = self._scores(vectors, is_candidate, batch)
            self._add(scores, batch.sequences, temperature)
        if not self.targets:  # with none at all or with those of another process
            self.ranks.update(text_ids[:0], is_candidate[:0, : len(self.ranks.names)])
            self.loss.update(vectors[:0])
        figures = self.ranks.compute()
        if not figures:
            return {}
        figures = {"loss": self.loss.compute(), **figures}
        if self.sample_size:
            figures = {_sampled(name, self.sample_size): v for name, v in figures.items()}
        if self.probe:
            domain_ids = self._only_domains(vectors.device)[text_ids]
            figures["domain_probe"] = domain_probe(vectors[text_ids], domain_ids)
        return figures

    def reset(self) -> None:
        """Forget what was added."""
        self.targets = []
        for metric in (self.items, self.ranks, self.loss):
            metric.reset()

    def _scores(self, vectors: Tensor, is_candidate: Tensor, batch: WeightedTargets) -> Tensor:
        """Return the cosines of a batch, -inf where an item is no candidate, ``(B, N + 1)``."""
        sequences, weights = batch
        history = (vectors[sequences.item_ids] * weights[..., None]).sum(dim=1)
        scores = functional.normalize(history, dim=1) @ vectors.T
        scores.masked_fill_((vectors == 0).all(dim=1), WITHOUT_TEXT)
        is_excluded = ~is_candidate[sequences.target_domain_ids[:, 0]]
        is_excluded.scatter_(1, sequences.seen_ids, value=True)
        return scores.masked_fill_(is_excluded, float("-inf"))

    def _add(self, scores: Tensor, sequences: SequenceBatch, temperature: float) -> None:
        """Add the ranks and losses of the targets of a batch."""
        target_ids = sequences.target_ids[:, 0]
        domains = torch.arange(1, len(self.catalog.domains) + 1, device=scores.device)
        is_here = sequences.target_domain_ids == domains  # (B, domains)
        mask = torch.cat([is_here, sequences.slice_mask], dim=1)
        self.ranks.update(target_ranks(scores, target_ids), mask)
        losses = functional.cross_entropy(scores / temperature, target_ids, reduction="none")
        self.loss.update(losses)

    def _by_domain(self, candidate_ids: Tensor) -> Tensor:
        """Return which items are candidates in each domain, shape ``(domains + 1, N + 1)``."""
        shape = (len(self.catalog.domains) + 1, self.catalog.num_items + 1)
        is_listed = torch.zeros(shape, dtype=torch.bool, device=candidate_ids.device)
        for index, item_ids in enumerate(self.catalog.candidates, start=1):
            is_listed[index, item_ids.to(is_listed.device)] = True
        is_ranked = torch.zeros_like(is_listed[0])
        is_ranked[candidate_ids] = True
        return is_listed & is_ranked

    def _only_domains(self, device: torch.device) -> Tensor:
        """Return the domain of each item, 0 where it has several, shape ``(N + 1,)``."""
        counts = torch.zeros(self.catalog.num_items + 1, dtype=torch.int64)
        domain_ids = torch.zeros_like(counts)
        for index, item_ids in enumerate(self.catalog.candidates, start=1):
            counts[item_ids] += 1
            domain_ids[item_ids] = index
        return torch.where(counts == 1, domain_ids, 0).to(device)


def _sampled(name: str, sample_size: int) -> str:
    """Return a figure's name that says how many candidates of each domain were drawn.

    Example:
        >>> _sampled("ndcg@10/books", 4000)
        'ndcg@10[of=4000]/books'
    """
    figure, slash, part = name.partition("/")
    return f"{figure}[of={sample_size}]{slash}{part}"
