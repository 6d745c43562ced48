import torch
from torch import nn

from xrec_lightning.models.language.tuning.base import trainable_share


def test_the_share_counts_weights_and_not_tensors() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    model[0].requires_grad_(requires_grad=False)
    assert trainable_share(model) == 5 / 25
    assert trainable_share(nn.Module()) == 0.0
    assert trainable_share(nn.ParameterList([torch.zeros(3)])) == 1.0
