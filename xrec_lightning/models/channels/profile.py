"""The `profile` channel: items whose text is near that of the user's profile."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import Channel, ChannelConfig, Phrase, normalize
from xrec_lightning.models.channels.knowledge import fit_whitening, knowledge_vectors


@dataclass(frozen=True, kw_only=True)
class ProfileChannelConfig(ChannelConfig):
    """Settings of a `ProfileChannel`."""

    dim: int = 128
    """Width after whitening; the directions of least variance are dropped."""

    @override
    def build(self, catalog: Catalog) -> "ProfileChannel":
        return ProfileChannel(self, catalog)


torch.serialization.add_safe_globals([ProfileChannelConfig])


class ProfileChannel(Channel):
    """Compare an item's knowledge vector with the projected one of the user's profile.

    The projection starts at the identity: an untrained channel looks for items whose text is near
    the profile's. Both are whitened as the items are. The query of a user without a profile is
    zero. No interaction of a history has a part in it, and so none contributes.
    """

    name = "profile"
    phrase = Phrase("close to the profile, besides", "close to the profile")
    vectors: Tensor
    user_vectors: Tensor

    def __init__(self, config: ProfileChannelConfig, catalog: Catalog) -> None:
        super().__init__()
        vectors = knowledge_vectors(catalog)
        if catalog.user_vectors is None:
            raise ValueError(
                "the profile channel needs vectors of users: name profile columns in users.text "
                "of the data YAML, and let `xrec embed` write the kinds item and user"
            )
        whitening = fit_whitening(vectors, catalog.train_counts, config.dim)
        self.register_buffer("vectors", normalize(whitening.apply(vectors)), persistent=False)
        profiles = normalize(whitening.apply(catalog.user_vectors()))
        self.register_buffer("user_vectors", profiles, persistent=False)
        self.projection = nn.Linear(config.dim, config.dim)
        nn.init.eye_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    @override
    def queries(self, batch: SequenceBatch) -> Tensor:
        profiles = self.user_vectors[batch.user_ids]  # (B, D)
        has_profile = profiles.abs().sum(dim=-1, keepdim=True) > 0
        queries = normalize(self.projection(profiles) * has_profile)
        return queries[:, None].expand(-1, batch.target_ids.size(1), -1)

    @override
    def keys(self) -> Tensor:
        return self.vectors

    @override
    def contributions(self, batch: SequenceBatch, item_ids: Tensor) -> Tensor:
        return self.vectors.new_zeros(*item_ids.shape, batch.item_ids.size(1))
