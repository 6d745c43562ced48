from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.bottleneck import Bottleneck, BottleneckTuning

Model = Callable[..., PreTrainedModel]
ATTENTION = [f"encoder.layer.{layer}.attention.output.dense" for layer in (0, 1)]
FEED_FORWARD = [f"encoder.layer.{layer}.output.dense" for layer in (0, 1)]


@pytest.mark.parametrize(
    ("placement", "places"),
    [("houlsby", [*ATTENTION, *FEED_FORWARD]), ("pfeiffer", FEED_FORWARD)],
)
def test_bottlenecks_stand_where_the_paper_says(
    placement: Literal["houlsby", "pfeiffer"], places: list[str], tiny_model: Model
) -> None:
    tuned = BottleneckTuning(placement=placement, reduction=4).apply(tiny_model())
    found = [n for n, m in tuned.model.named_modules() if isinstance(m, Bottleneck)]
    assert sorted(found) == sorted(places)
    trained = sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad)
    assert trained == len(places) * (16 * 4 + 4 + 4 * 16 + 16)


def test_a_bottleneck_adds_to_what_the_layer_gives() -> None:
    layer = Bottleneck(nn.Linear(3, 2), width=2, inner=1, dropout=0.0)
    hidden = torch.randn(4, 3)
    assert torch.equal(layer(hidden), layer.base_layer(hidden))
    with torch.no_grad():
        layer.up.weight.fill_(1.0)
    output = layer.base_layer(hidden)
    inner = nn.functional.gelu(output @ layer.down.weight.T + layer.down.bias)
    torch.testing.assert_close(layer(hidden), output + inner)


def test_dropout_works_in_training_only(
    tiny_model: Model, states: Callable[[nn.Module], Tensor], moved: Callable[..., nn.Module]
) -> None:
    tuned = moved(BottleneckTuning(dropout=0.5, bottleneck_dim=4).apply(tiny_model()))
    assert torch.equal(states(tuned), states(tuned))
    for module in tuned.modules():
        if isinstance(module, Bottleneck):
            module.dropout.train()
    assert not torch.equal(states(tuned), states(tuned))


@pytest.mark.parametrize("wrong", [{"reduction": 0}, {"bottleneck_dim": 0}])
def test_a_bottleneck_without_width_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is not at least 1"):
        BottleneckTuning(**wrong)  # type: ignore[arg-type]  # whatever the field
