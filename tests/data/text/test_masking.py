import pytest
import torch
from torch import Tensor

from xrec_lightning.batches import MaskedTextBatch, TextBatch
from xrec_lightning.data.text.masking import IGNORED, Masking, Vocabulary, mask_tokens

PAD, CLS, SEP, MASK = 0, 1, 2, 3
SIZE = 50
SPECIAL = torch.arange(SIZE) < 4
VOCABULARY = Vocabulary(
    mask_id=MASK,
    ordinary_ids=torch.arange(4, SIZE),
    is_special=SPECIAL,
    continues_word=torch.arange(SIZE) >= 30,
)


def text(rows: int = 200, length: int = 40) -> TextBatch:
    generator = torch.Generator().manual_seed(1)
    token_ids = torch.randint(4, SIZE, (rows, length), generator=generator)
    token_ids[:, 0] = CLS
    mask = torch.arange(length) < torch.randint(5, length + 1, (rows, 1), generator=generator)
    token_ids[~mask] = PAD
    return TextBatch(token_ids, mask)


def masked(batch: TextBatch, masking: Masking, seed: int = 0) -> MaskedTextBatch:
    domains = torch.zeros(len(batch.token_ids), dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    return mask_tokens(batch, domains, VOCABULARY, masking, generator)


def share(mask: Tensor, of: Tensor) -> float:
    return float(mask.sum() / of.sum())


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_the_asked_share_is_predicted_and_treated_80_10_10(rate: float) -> None:
    batch = text()
    result = masked(batch, Masking(rate))
    chosen = result.labels != IGNORED
    ordinary = batch.attention_mask & ~SPECIAL[batch.token_ids]
    assert share(chosen, ordinary) == pytest.approx(rate, abs=0.02)
    is_masked = chosen & (result.token_ids == MASK)
    is_kept = chosen & (result.token_ids == batch.token_ids)
    assert share(is_masked, chosen) == pytest.approx(0.8, abs=0.05)
    assert share(is_kept, chosen) == pytest.approx(0.1 + 0.1 / 46, abs=0.04)


@pytest.mark.parametrize("whole_words", [False, True])
def test_only_chosen_ordinary_tokens_change_and_labels_are_the_originals(whole_words: bool) -> None:
    batch = text()
    result = masked(batch, Masking(0.3, whole_words))
    chosen = result.labels != IGNORED
    assert torch.equal(result.token_ids[~chosen], batch.token_ids[~chosen])
    assert torch.equal(result.labels[chosen], batch.token_ids[chosen])
    assert not (chosen & (SPECIAL[batch.token_ids] | ~batch.attention_mask)).any()
    assert not SPECIAL[result.token_ids[chosen]][result.token_ids[chosen] != MASK].any()


def test_whole_words_are_hidden_together() -> None:
    batch = text()
    chosen = masked(batch, Masking(0.3, whole_words=True)).labels != IGNORED
    goes_on = VOCABULARY.continues_word[batch.token_ids] & batch.attention_mask
    after_special = SPECIAL[batch.token_ids[:, :-1]]
    pairs = goes_on[:, 1:] & ~after_special
    assert pairs.sum() > 1000
    assert torch.equal(chosen[:, 1:][pairs], chosen[:, :-1][pairs])


def test_masks_follow_the_generator() -> None:
    batch = text()
    first, again, other = (masked(batch, Masking(), seed) for seed in (0, 0, 1))
    assert torch.equal(first.token_ids, again.token_ids)
    assert not torch.equal(first.labels, other.labels)
