import pytest
import torch
from torch import nn

from xrec_lightning.models.language.tuning.base import require_plain, trainable_share
from xrec_lightning.models.language.tuning.full import FullTuning


def test_the_share_counts_weights_and_not_tensors() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    model[0].requires_grad_(requires_grad=False)
    assert trainable_share(model) == 5 / 25
    assert trainable_share(nn.Module()) == 0.0
    assert trainable_share(nn.ParameterList([torch.zeros(3)])) == 1.0


def test_a_method_without_schedule_or_loss_adds_nothing() -> None:
    model = nn.Linear(1, 1)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    FullTuning().start(model, 10)
    FullTuning().after_step(model, 1)
    assert FullTuning().penalty(model) is None
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_what_is_no_model_of_transformers_cannot_be_tuned() -> None:
    with pytest.raises(ValueError, match=r"Linear cannot be tuned: tower\.adapter"):
        require_plain(nn.Linear(1, 1))
