"""The `modality:*` channels: items whose image, sound or other given vector is near the history."""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from xrec_lightning.batches import Catalog
from xrec_lightning.models.channels.base import Phrase, normalize
from xrec_lightning.models.channels.knowledge import fit_whitening
from xrec_lightning.models.channels.linear import LinearChannel, LinearChannelConfig


@dataclass(frozen=True, kw_only=True)
class ModalityChannelConfig(LinearChannelConfig):
    """Settings of a `ModalityChannel`."""

    modality: str
    """Name of the vectors in `items.vectors` of the data YAML, such as `image`."""
    dim: int = 128
    """Width after whitening; the directions of least variance are dropped."""

    @override
    def build(self, catalog: Catalog) -> "ModalityChannel":
        return ModalityChannel(self, catalog)


torch.serialization.add_safe_globals([ModalityChannelConfig])


class ModalityChannel(LinearChannel):
    """Compare an item's given vector, whitened, with a weighted sum of the history's."""

    def __init__(self, config: ModalityChannelConfig, catalog: Catalog) -> None:
        vectors = _given_vectors(catalog, config.modality)
        whitening = fit_whitening(vectors, catalog.train_counts, config.dim)
        super().__init__(config, catalog, normalize(whitening.apply(vectors)))
        self.name = f"modality:{config.modality}"
        kind = config.modality.replace("_", " ")
        self.phrase = Phrase(f"similar in {kind} to", f"similar in {kind} to the history")


def _given_vectors(catalog: Catalog, modality: str) -> Tensor:
    known = catalog.modalities or {}
    if modality not in known:
        remedy = (
            f"valid: {', '.join(sorted(known))}"
            if known
            else "the data set has none; name a file or a column in items.vectors of its YAML"
        )
        raise ValueError(f"ModalityChannelConfig.modality: unknown modality `{modality}`; {remedy}")
    return known[modality]().float()
