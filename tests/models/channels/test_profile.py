import pytest
import torch

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.base import normalize
from xrec_lightning.models.channels.knowledge import whitened_vectors
from xrec_lightning.models.channels.profile import ProfileChannelConfig


def test_untrained_it_compares_texts_of_users_and_items(
    linked: Catalog, batch: SequenceBatch
) -> None:
    channel = ProfileChannelConfig(dim=6).build(linked)
    assert linked.user_vectors is not None
    assert linked.vectors is not None
    # A user whose profile reads like an item is as near to all items as that item is.
    texts = linked.vectors
    twin = linked._replace(
        user_vectors=lambda: torch.stack([texts[0], texts[4], texts[9], texts[0]])
    )
    keys = normalize(whitened_vectors(linked, 6))
    torch.testing.assert_close(channel.keys(), keys)
    queries = ProfileChannelConfig(dim=6).build(twin).queries(batch)
    torch.testing.assert_close(queries[:2, 0], keys[[4, 9]])
    assert queries[2].abs().sum() == 0, "no profile, no query"


def test_users_without_a_profile_have_no_query_after_training_either(
    linked: Catalog, batch: SequenceBatch
) -> None:
    channel = ProfileChannelConfig(dim=6).build(linked)
    torch.nn.init.normal_(channel.projection.bias)
    queries = channel.queries(batch._replace(target_ids=torch.ones(3, 5).long()))
    assert queries.shape == (3, 5, 6)
    torch.testing.assert_close(queries.norm(dim=-1)[:2], torch.ones(2, 5))
    assert queries[2].abs().sum() == 0
    queries[0, 0, 0].backward()
    assert channel.projection.weight.grad is not None
    assert set(channel.state_dict()) == {"projection.weight", "projection.bias"}


def test_no_interaction_has_a_part_in_it(linked: Catalog, batch: SequenceBatch) -> None:
    channel = ProfileChannelConfig(dim=6).build(linked)
    parts = channel.contributions(batch, torch.tensor([[1, 2], [3, 4], [5, 6]]))
    assert parts.shape == (3, 2, 4)
    assert parts.abs().sum() == 0


@pytest.mark.parametrize("missing", ["vectors", "user_vectors"])
def test_missing_vectors_are_asked_for(linked: Catalog, missing: str) -> None:
    with pytest.raises(ValueError, match="xrec embed"):
        ProfileChannelConfig(dim=6).build(linked._replace(**{missing: None}))
