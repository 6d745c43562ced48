import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xrec_lightning.batches import Catalog, SequenceBatch
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.base import History
from xrec_lightning.models.sequence.bert4rec import BERT4Rec, BERT4RecConfig
from xrec_lightning.models.sequence.masked import hide_targets

CONFIG = BERT4RecConfig(embed_dim=8, max_seq_len=6, num_blocks=1, dropout=0.0)
HISTORY = History(
    torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1)),
    torch.arange(5).expand(2, -1),
    torch.tensor([[1, 2, 1, 1, 2], [2, 1, 1, 0, 0]]),
)
HIDDEN = torch.tensor([[False, True, False, False, True], [True, False, False, False, False]])


def trained_like() -> BERT4Rec:
    torch.manual_seed(0)
    encoder = CONFIG.build(2)
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    return encoder


def test_restoring_is_the_bidirectional_attention_of_torch() -> None:
    encoder = trained_like()
    block = encoder.blocks[0]
    reference = nn.MultiheadAttention(8, 2, batch_first=True)
    weights = block.projection.weight.unflatten(0, (2, 3, 4))  # heads, then parts
    biases = block.projection.bias.unflatten(0, (2, 3, 4))
    reference.in_proj_weight.data = weights.transpose(0, 1).flatten(0, 2)
    reference.in_proj_bias.data = biases.transpose(0, 1).flatten()
    reference.out_proj.load_state_dict(block.attention_output.state_dict())
    inputs = HISTORY.inputs.clone()
    inputs[HIDDEN] = encoder.mask_vector
    hidden = inputs + encoder.position_embedding.weight[:5]
    normed = block.attention_norm(hidden)
    attended, _ = reference(normed, normed, normed, key_padding_mask=HISTORY.domain_ids == 0)
    hidden = hidden + attended
    wide = F.gelu(block.feed_forward[0](block.feed_forward_norm(hidden)))
    expected = encoder.norm(hidden + block.feed_forward_output(wide))
    is_real = HISTORY.domain_ids > 0
    states = encoder.restore(HISTORY, HIDDEN)
    torch.testing.assert_close(states[is_real], expected[is_real], atol=1e-5, rtol=1e-5)


def test_a_restored_state_knows_both_sides_but_no_hidden_item() -> None:
    encoder = trained_like()
    states = encoder.restore(HISTORY, HIDDEN)
    for place, is_known in ((1, False), (4, False), (0, True), (3, True)):
        changed = HISTORY.inputs.clone()
        changed[0, place] = torch.randn(8)
        other = encoder.restore(HISTORY._replace(inputs=changed), HIDDEN)
        assert torch.equal(states[0, 1], other[0, 1]) != is_known
    assert (
        encoder.restore(HISTORY._replace(domain_ids=HISTORY.domain_ids * 0), HIDDEN)
        .isfinite()
        .all()
    )


def test_the_next_item_is_a_mask_after_the_last_one() -> None:
    encoder = trained_like()
    longer = History(
        F.pad(HISTORY.inputs[:1, :3], (0, 0, 0, 1)),
        torch.zeros(1, 4, dtype=torch.int64),
        torch.ones(1, 4, dtype=torch.int64),
    )
    is_hidden = torch.tensor([[False, False, False, True]])
    expected = encoder.restore(longer, is_hidden)[:, 3]
    torch.testing.assert_close(encoder(*HISTORY)[:1, 2], expected)


def test_the_channel_trains_on_hidden_items_that_it_does_not_see(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    torch.manual_seed(0)
    channel = SequenceChannelConfig(encoder=CONFIG).build(catalog)
    for parameter in channel.parameters():
        nn.init.normal_(parameter, std=0.5)
    prepared = channel.prepare(batch)
    assert prepared.target_ids.shape == (3, 4)
    is_hidden = prepared.target_ids > 0
    queries = channel.queries(prepared)
    other = prepared.item_ids + is_hidden.long()  # other items where they are hidden
    changed = prepared._replace(item_ids=other, target_ids=other * is_hidden)
    torch.testing.assert_close(channel.queries(changed)[is_hidden], queries[is_hidden])
    shown = prepared._replace(item_ids=torch.where(is_hidden, 0, prepared.item_ids % 10 + 1))
    shown = shown._replace(item_ids=torch.where(is_hidden, prepared.item_ids, shown.item_ids))
    rows = is_hidden & ((prepared.item_ids > 0) & ~is_hidden).any(dim=1, keepdim=True)
    assert not torch.allclose(channel.queries(shown)[rows], queries[rows])
    (queries * torch.randn_like(queries)).sum().backward()
    assert channel.encoder.mask_vector.grad.abs().sum() > 0


def test_in_evaluation_targets_see_what_is_strictly_earlier(
    catalog: Catalog, batch: SequenceBatch
) -> None:
    channel = SequenceChannelConfig(encoder=CONFIG).build(catalog).eval()
    for parameter in channel.parameters():
        nn.init.normal_(parameter, std=0.5)
    hidden = hide_targets(batch._replace(times=batch.times // 30), 1.0)  # two times, 0 and 1
    queries = channel.queries(hidden)
    later = hidden._replace(item_ids=hidden.item_ids * torch.tensor([1, 1, 0, 0]))
    torch.testing.assert_close(channel.queries(later), queries)
    assert queries[0, 2].norm() > 0
    assert queries[:, :2].abs().sum() == 0


def test_settings_that_make_no_sense_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="mask_share is 0: set it above 0"):
        BERT4RecConfig(mask_share=0)
    with pytest.raises(ValueError, match="time_gaps: the time of a masked item is not known"):
        BERT4RecConfig(time_gaps=True)
