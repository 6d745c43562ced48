"""Chunks against the whole: same vectors, same gradients, less at once."""

import pytest
import torch
from torch import Tensor
from transformers import BertConfig

from xrec_lightning.batches import TextBatch
from xrec_lightning.models.language.chunks import encode_in_chunks
from xrec_lightning.models.language.tower import LanguageTower, TowerConfig


@pytest.fixture
def texts() -> TextBatch:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 9, (10,), generator=generator)
    token_ids = torch.randint(5, 40, (10, 8), generator=generator)
    mask = torch.arange(8) < lengths[:, None]
    return TextBatch(token_ids * mask, mask)


def gradients(tower: LanguageTower, texts: TextBatch, chunk_size: int | None) -> dict[str, Tensor]:
    """Return the gradients of a loss that compares all texts with each other."""
    tower.zero_grad()
    torch.manual_seed(7)  # of the dropout
    vectors = encode_in_chunks(tower, texts, chunk_size)
    logits = vectors @ vectors.T
    torch.nn.functional.cross_entropy(logits, torch.arange(10).flip(0)).backward()
    return {name: w.grad.clone() for name, w in tower.named_parameters() if w.grad is not None}


def test_gradients_are_those_of_the_whole_batch_with_dropout(
    texts: TextBatch, tiny_language: str
) -> None:
    assert BertConfig.from_pretrained(tiny_language).hidden_dropout_prob > 0
    tower = TowerConfig(model=tiny_language, bucket_size=4).build().train()
    expected = gradients(tower, texts, None)
    found = gradients(tower, texts, 4)
    assert found.keys() == expected.keys()
    assert len(found) > 20
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-6)
    # Dropout is at work: other random numbers, other gradients.
    tower.zero_grad()
    torch.manual_seed(8)
    encode_in_chunks(tower, texts, 4).square().sum().backward()
    first = tower.model.get_input_embeddings().weight.grad.clone()  # type: ignore[operator]
    tower.zero_grad()
    torch.manual_seed(9)
    encode_in_chunks(tower, texts, 4).square().sum().backward()
    second = tower.model.get_input_embeddings().weight.grad  # type: ignore[operator]
    assert not torch.allclose(first, second)


def test_vectors_are_those_of_the_whole_batch(texts: TextBatch, tiny_language: str) -> None:
    tower = TowerConfig(model=tiny_language).build().eval()
    torch.testing.assert_close(encode_in_chunks(tower, texts, 3), tower(texts))


def test_no_activations_outlive_their_chunk(texts: TextBatch, tiny_language: str) -> None:
    tower = TowerConfig(model=tiny_language).build().train()
    sizes: list[int] = []
    tower.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0].token_ids)))

    def kept(chunk_size: int | None) -> int:
        """Return how many numbers lie about between the forward and the backward pass."""
        counts: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            counts.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            vectors = encode_in_chunks(tower, texts, chunk_size)
        between = sum(counts)
        vectors.square().sum().backward()
        return between

    assert kept(2) < kept(None) / 100
    assert sizes == [*[2] * 10, 10]  # five chunks, twice each


def test_without_gradients_or_need_texts_are_encoded_once(
    texts: TextBatch, tiny_language: str
) -> None:
    tower = TowerConfig(model=tiny_language).build().eval()
    sizes: list[int] = []
    tower.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0].token_ids)))
    with torch.no_grad():
        encode_in_chunks(tower, texts, 2)
    encode_in_chunks(tower, texts, 10)
    assert sizes == [10, 10]
