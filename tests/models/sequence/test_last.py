import torch

from xrec_lightning.models.sequence.last import LastConfig
from xrec_lightning.models.sequence.mean import MeanConfig


def test_it_is_a_mean_in_which_older_items_have_no_weight() -> None:
    inputs, times = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.int64)
    states = LastConfig(embed_dim=8).build()(inputs, times)
    assert torch.equal(states, inputs)
    torch.testing.assert_close(states, MeanConfig(embed_dim=8, decay=0.0).build()(inputs, times))
