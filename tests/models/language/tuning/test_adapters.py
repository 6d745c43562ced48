import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.tower import LanguageTower, TowerConfig
from xrec_lightning.models.language.tuning.adalora import AdaLoraTuning
from xrec_lightning.models.language.tuning.adapters import (
    can_merge,
    has_adapter,
    load_adapter,
    merge_adapter,
    save_adapter,
)
from xrec_lightning.models.language.tuning.base import TuningConfig, trainable_share
from xrec_lightning.models.language.tuning.bottleneck import BottleneckTuning
from xrec_lightning.models.language.tuning.by_name import PeftTuning
from xrec_lightning.models.language.tuning.full import FullTuning
from xrec_lightning.models.language.tuning.lora import LoraTuning
from xrec_lightning.models.language.tuning.prefix import PrefixTuning
from xrec_lightning.models.language.tuning.prompts import PromptTuning, PTuning
from xrec_lightning.models.language.tuning.vectors import Ia3Tuning, LayerNormTuning, VeraTuning

Model = Callable[..., PreTrainedModel]
States = Callable[[nn.Module], Tensor]
Move = Callable[[nn.Module], nn.Module]

FAMILIES = ["bert", "roberta", "distilbert", "gpt2", "llama"]
MERGED: dict[str, TuningConfig] = {
    "lora": LoraTuning(rank=2),
    "dora": LoraTuning(rank=2, dora=True),
    "rslora": LoraTuning(rank=2, rslora=True),
    "adalora": AdaLoraTuning(initial_rank=3, target_rank=1),
    "ia3": Ia3Tuning(),
    "vera": VeraTuning(rank=4),
    "ln": LayerNormTuning(),
}
BESIDE: dict[str, TuningConfig] = {
    "prefix": PrefixTuning(num_tokens=3),
    "prompt": PromptTuning(num_tokens=3),
    "ptuning": PTuning(num_tokens=3, hidden_dim=8),
    "houlsby": BottleneckTuning(bottleneck_dim=4),
    "pfeiffer": BottleneckTuning(placement="pfeiffer", bottleneck_dim=4),
}
METHODS = {**MERGED, **BESIDE}
START_AS_NOTHING = [*MERGED, "houlsby", "pfeiffer"]
TEXT = TextBatch(
    torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool()
)
families = pytest.mark.parametrize("family", FAMILIES)


@families
@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_a_part_and_gradients_reach_all_of_it(
    family: str, method: str, tiny_model: Model, states: States, moved: Move
) -> None:
    base = tiny_model(family)
    num_weights = sum(weight.numel() for weight in base.parameters())
    plain = states(base)
    tuned = METHODS[method].apply(base).eval()
    if method in START_AS_NOTHING:
        torch.testing.assert_close(states(tuned), plain, atol=1e-6, rtol=0)
    found = states(moved(tuned))
    assert found.shape == plain.shape
    assert not torch.allclose(found, plain, atol=1e-3)
    found.square().sum().backward()
    trained = {n: w for n, w in tuned.named_parameters() if w.requires_grad}
    assert all(weight.grad is not None and weight.grad.any() for weight in trained.values())
    assert 0.0 < trainable_share(tuned) < 0.5
    # Beside the base weights stands what is trained, ranks that AdaLoRA counts, copies of norms.
    assert sum(weight.numel() for weight in tuned.parameters()) <= 2 * num_weights


@families
@pytest.mark.parametrize("method", METHODS)
def test_a_saved_adapter_gives_equal_states_on_the_base_model(
    family: str, method: str, tiny_model: Model, states: States, moved: Move, tmp_path: Path
) -> None:
    tuned = moved(METHODS[method].apply(tiny_model(family)))
    assert has_adapter(tuned)
    save_adapter(tuned, tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        path.name for path in tmp_path.iterdir()
    }
    loaded = load_adapter(tiny_model(family), tmp_path)
    assert has_adapter(loaded) == (method in BESIDE)
    torch.testing.assert_close(states(loaded), states(tuned), atol=1e-5, rtol=1e-5)


@families
@pytest.mark.parametrize("method", MERGED)
def test_a_merged_model_is_plain_and_the_tuned_one_stays_tunable(
    family: str, method: str, tiny_model: Model, states: States, moved: Move
) -> None:
    tuned = moved(MERGED[method].apply(tiny_model(family)))
    before = states(tuned)
    merged = merge_adapter(tuned)
    assert type(merged) is type(tiny_model(family))
    assert set(merged.state_dict()) == set(tiny_model(family).state_dict())
    torch.testing.assert_close(states(merged), before, atol=1e-5, rtol=1e-5)
    assert has_adapter(tuned)
    assert torch.equal(states(tuned), before)


@pytest.mark.parametrize("method", BESIDE)
def test_what_cannot_be_merged_says_so(method: str, tiny_model: Model) -> None:
    tuned = BESIDE[method].apply(tiny_model())
    assert not can_merge(tuned)
    with pytest.raises(ValueError, match="keep the adapter folder"):
        merge_adapter(tuned)


def test_whether_a_method_merges_is_learned_from_its_layers(tiny_model: Model) -> None:
    assert can_merge(PeftTuning(method="loha").apply(tiny_model()))
    assert not can_merge(PeftTuning(method="lily").apply(tiny_model()))


def test_full_tuning_has_no_adapter_and_is_merged_as_it_is(tiny_model: Model) -> None:
    tuned = FullTuning().apply(tiny_model())
    assert not has_adapter(tuned)
    assert merge_adapter(tuned) is tuned


@pytest.mark.parametrize("method", METHODS)
def test_a_tower_encodes_with_any_adapter(
    method: str, tiny_language: str, moved: Move, tmp_path: Path
) -> None:
    config = TowerConfig(model=tiny_language)
    tuned: LanguageTower = config.build(moved(METHODS[method].apply(config.load())))
    save_adapter(tuned.model, tmp_path)
    again = TowerConfig(model=tiny_language, adapter=str(tmp_path), bucket_size=1).build().eval()
    torch.testing.assert_close(again(TEXT), tuned(TEXT), atol=1e-5, rtol=1e-5)
    assert again.fingerprint() != config.build().fingerprint()


def test_a_merged_adapter_can_be_tuned_on_and_one_beside_cannot(
    tiny_model: Model, tmp_path: Path
) -> None:
    for name in ("lora", "prefix"):
        save_adapter(METHODS[name].apply(tiny_model()), tmp_path / name)
    merged = load_adapter(tiny_model(), tmp_path / "lora")
    assert all(weight.requires_grad for weight in merged.parameters())
    beside = load_adapter(tiny_model(), tmp_path / "prefix")
    for tuning in (FullTuning(), LoraTuning(), PrefixTuning()):
        tuning.apply(load_adapter(tiny_model(), tmp_path / "lora"))
        with pytest.raises(ValueError, match="remove it"):
            tuning.apply(beside)


def test_a_folder_without_adapter_is_refused(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"adapter_config\.json"):
        load_adapter(tiny_model(), tmp_path)
    save_adapter(LoraTuning(rank=2).apply(tiny_model()), tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(FileNotFoundError, match=r"adapter_model\.safetensors"):
        load_adapter(tiny_model(), tmp_path)


@pytest.mark.parametrize("method", ["lora", "adalora", "vera", "ln", "prompt", "prefix", "houlsby"])
@pytest.mark.parametrize("other", [{"width": 8}, {"num_layers": 1}, {"num_layers": 3}], ids=str)
def test_an_adapter_of_a_model_of_other_shape_is_refused(
    method: str, other: dict[str, int], tiny_model: Model, tmp_path: Path
) -> None:
    save_adapter(METHODS[method].apply(tiny_model(**other)), tmp_path)
    if method == "prompt" and "num_layers" in other:
        load_adapter(tiny_model(), tmp_path)  # a prompt is as wide as the model, whatever its depth
        return
    with pytest.raises(ValueError, match=r"does not fit BertModel .* name the model") as refusal:
        load_adapter(tiny_model(), tmp_path)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("method", ["lora", "prefix"])
def test_a_broken_adapter_is_refused(method: str, tiny_model: Model, tmp_path: Path) -> None:
    save_adapter(METHODS[method].apply(tiny_model()), tmp_path)
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    whole = weights.read_bytes()
    for content in (b"", whole[:50], whole[:-8], b"\x80\x04junk"):
        weights.write_bytes(content)
        with pytest.raises(ValueError, match="does not fit"):
            load_adapter(tiny_model(), tmp_path)
    weights.write_bytes(whole)
    text = config.read_text()
    for written in (text[:40], "[]", "{}", '{"peft_type": "NONE"}', '{"class_path": "os.system"}'):
        config.write_text(written)
        with pytest.raises(ValueError, match="does not fit"):
            load_adapter(tiny_model(), tmp_path)


def test_the_folder_of_our_own_adapter_names_its_method(tiny_model: Model, tmp_path: Path) -> None:
    save_adapter(PrefixTuning(num_tokens=3).apply(tiny_model()), tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text()) == {
        "class_path": "xrec_lightning.models.language.tuning.prefix.PrefixTuning",
        "init_args": {"num_tokens": 3},
    }
