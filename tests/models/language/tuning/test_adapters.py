from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.tower import LanguageTower, TowerConfig
from xrec_lightning.models.language.tuning.adapters import (
    has_adapter,
    load_adapter,
    merge_adapter,
    save_adapter,
)
from xrec_lightning.models.language.tuning.lora import LoraTuning

TEXT = TextBatch(
    torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool()
)


@pytest.fixture
def tuned(tiny_language: str) -> LanguageTower:
    """A tower with an adapter that was moved away from zero."""
    config = TowerConfig(model=tiny_language)
    tower = config.build(LoraTuning(rank=2).apply(config.load())).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in tower.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.2 * noise
    return tower


def vectors(model: nn.Module, config: TowerConfig) -> Tensor:
    return config.build(model).eval()(TEXT)


def test_a_new_adapter_changes_nothing(tiny_language: str) -> None:
    config = TowerConfig(model=tiny_language)
    fresh = LoraTuning(rank=2).apply(config.load())
    torch.testing.assert_close(vectors(fresh, config), vectors(config.load(), config))


def test_merged_model_equals_the_tuned_one_which_stays_tunable(
    tuned: LanguageTower, tiny_language: str
) -> None:
    config = TowerConfig(model=tiny_language)
    merged = merge_adapter(tuned.model)
    torch.testing.assert_close(vectors(merged, config), tuned(TEXT), atol=1e-5, rtol=1e-5)
    assert has_adapter(tuned.model)
    assert not has_adapter(merged)
    assert not torch.allclose(vectors(config.load(), config), tuned(TEXT), atol=1e-3)


def test_a_saved_adapter_loads_onto_the_base_model(
    tuned: LanguageTower, tiny_language: str, tmp_path: Path
) -> None:
    save_adapter(tuned.model, tmp_path)
    config = TowerConfig(model=tiny_language, adapter=str(tmp_path))
    torch.testing.assert_close(config.build().eval()(TEXT), tuned(TEXT), atol=1e-5, rtol=1e-5)


def test_a_folder_without_adapter_is_refused(tiny_language: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"adapter_config\.json"):
        load_adapter(TowerConfig(model=tiny_language).load(), tmp_path)
