from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xrec_lightning.models.language.tuning.adapted import AdaptedModel, class_path
from xrec_lightning.models.language.tuning.bottleneck import BottleneckTuning

Model = Callable[..., PreTrainedModel]
TUNING = BottleneckTuning(bottleneck_dim=2)


def test_an_adapted_model_answers_for_the_model_in_it(tiny_model: Model) -> None:
    adapted = TUNING.apply(tiny_model())
    assert isinstance(adapted, AdaptedModel)
    assert adapted.config.hidden_size == 16
    assert adapted.get_input_embeddings().num_embeddings == 60
    with pytest.raises(AttributeError, match="no_such_thing"):
        adapted.no_such_thing  # noqa: B018 - the question is the test


def test_only_what_was_put_in_is_trained_and_saved(tiny_model: Model, tmp_path: Path) -> None:
    adapted = TUNING.apply(tiny_model())
    assert isinstance(adapted, AdaptedModel)
    trained = {n for n, w in adapted.model.named_parameters() if w.requires_grad}
    assert trained == set(adapted.adapter_names)
    assert {name.split(".")[-2] for name in trained} == {"up", "down"}
    adapted.save_adapter(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 5000


def test_a_loaded_adapter_is_frozen(
    tiny_model: Model,
    states: Callable[[nn.Module], Tensor],
    moved: Callable[[nn.Module], nn.Module],
    tmp_path: Path,
) -> None:
    adapted = moved(TUNING.apply(tiny_model()))
    assert isinstance(adapted, AdaptedModel)
    adapted.save_adapter(tmp_path)
    other = TUNING.apply(tiny_model())
    assert isinstance(other, AdaptedModel)
    other.load_adapter(tmp_path)
    assert torch.equal(states(other), states(adapted))
    assert not any(weight.requires_grad for weight in other.parameters())


def test_a_class_path_is_what_yaml_names() -> None:
    expected = "xrec_lightning.models.language.tuning.bottleneck.BottleneckTuning"
    assert class_path(BottleneckTuning) == expected
