import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.tower import TowerConfig, weights_fingerprint

TEXTS = ["green tea 1", "iron pot", "clay pot 2 black tea mint", "tea", "zzz pots 9"]


def batch(name: str, texts: list[str]) -> TextBatch:
    encoded = AutoTokenizer.from_pretrained(name)(texts, padding=True, return_tensors="pt")
    return TextBatch(encoded["input_ids"], encoded["attention_mask"].bool())


def test_vectors_equal_the_mean_of_a_plain_forward_of_each_text(tiny_language: str) -> None:
    tower = TowerConfig(model=tiny_language).build().eval()
    plain = AutoModel.from_pretrained(tiny_language).eval()
    with torch.inference_mode():
        ours = tower(batch(tiny_language, TEXTS))
        for text, vector in zip(TEXTS, ours, strict=True):
            alone = AutoTokenizer.from_pretrained(tiny_language)(text, return_tensors="pt")
            expected = plain(**alone).last_hidden_state[0].mean(dim=0)
            torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("texts", "has_mask"), [(["tea", "pot"], False), (TEXTS, True)])
def test_attention_has_a_mask_only_where_there_is_padding(
    tiny_language: str, texts: list[str], has_mask: bool
) -> None:
    tower = TowerConfig(model=tiny_language).build().eval()
    masks = []

    def note(_: torch.nn.Module, args: tuple[()], options: dict[str, torch.Tensor | None]) -> None:
        masks.append(options["attention_mask"])

    tower.model.register_forward_pre_hook(note, with_kwargs=True)
    tower(batch(tiny_language, texts))
    assert [mask is not None for mask in masks] == [has_mask]


@pytest.mark.parametrize("bucket_size", [1, 2, 3, 5, 8])
def test_buckets_do_not_change_the_vectors(tiny_language: str, bucket_size: int) -> None:
    text = batch(tiny_language, TEXTS)
    whole = TowerConfig(model=tiny_language).build().eval()
    split = TowerConfig(model=tiny_language, bucket_size=bucket_size).build().eval()
    torch.testing.assert_close(split(text), whole(text), atol=1e-5, rtol=0)


def test_a_built_tower_is_ready_for_training_and_has_no_unused_weights(tiny_language: str) -> None:
    tower = TowerConfig(model=tiny_language).build()
    assert all(module.training for module in tower.modules())
    tower(batch(tiny_language, TEXTS)).sum().backward()
    assert [name for name, p in tower.named_parameters() if p.grad is None] == []


def test_the_fingerprint_changes_with_one_weight(tiny_language: str) -> None:
    model = TowerConfig(model=tiny_language).load()
    before = weights_fingerprint(model)
    assert before == weights_fingerprint(TowerConfig(model=tiny_language).load())
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] += 1e-3
    assert weights_fingerprint(model) != before


def test_dim_is_the_width_of_the_vectors(tiny_language: str) -> None:
    tower = TowerConfig(model=tiny_language).build()
    assert tower.dim == 16
    assert tower(batch(tiny_language, TEXTS)).shape == (len(TEXTS), 16)
