from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from xrec_lightning.batches import TextBatch
from xrec_lightning.data.text.masking import (
    IGNORED,
    Hidden,
    Masking,
    Spans,
    TripleParts,
    Vocabulary,
    hide_tokens,
    span_rate,
)

PAD, CLS, SEP, MASK = 0, 1, 2, 3
SIZE = 50
SPECIAL = torch.arange(SIZE) < 4
VOCABULARY = Vocabulary(
    mask_id=MASK,
    ordinary_ids=torch.arange(4, SIZE),
    is_special=SPECIAL,
    continues_word=torch.arange(SIZE) >= 30,
)


@dataclass
class Case:
    """Texts and what became of them."""

    text: TextBatch
    hidden: Hidden

    @property
    def chosen(self) -> Tensor:
        return self.hidden.labels != IGNORED

    @property
    def ordinary(self) -> Tensor:
        return self.text.attention_mask & ~SPECIAL[self.text.token_ids]


def texts(rows: int = 200, length: int = 40) -> TextBatch:
    generator = torch.Generator().manual_seed(1)
    token_ids = torch.randint(4, SIZE, (rows, length), generator=generator)
    token_ids[:, 0] = CLS
    mask = torch.arange(length) < torch.randint(5, length + 1, (rows, 1), generator=generator)
    token_ids[~mask] = PAD
    return TextBatch(token_ids, mask)


def hide(
    masking: Masking,
    seed: int = 0,
    text: TextBatch | None = None,
    triples: TripleParts | None = None,
) -> Case:
    text = text or texts()
    positions = torch.arange(text.token_ids.size(1)).expand_as(text.token_ids)
    generator = torch.Generator().manual_seed(seed)
    return Case(text, hide_tokens(text, positions, VOCABULARY, masking, generator, triples))


def share(mask: Tensor, of: Tensor) -> float:
    return float(mask.sum() / of.sum())


@pytest.mark.parametrize("spans", [None, Spans(), Spans(0.5, 4)])
@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_the_asked_share_is_predicted_and_treated_80_10_10(
    rate: float, spans: Spans | None
) -> None:
    case = hide(Masking(rate, spans=spans), text=texts(2000))
    chosen = case.chosen
    assert share(chosen, case.ordinary) == pytest.approx(rate, abs=0.012)
    is_masked = chosen & (case.hidden.token_ids == MASK)
    is_kept = chosen & (case.hidden.token_ids == case.text.token_ids)
    assert share(is_masked, chosen) == pytest.approx(0.8, abs=0.03)
    assert share(is_kept, chosen) == pytest.approx(0.1 + 0.1 / 46, abs=0.03)


@pytest.mark.parametrize("spans", [None, Spans()])
@pytest.mark.parametrize("whole_words", [False, True])
def test_only_chosen_ordinary_tokens_change_and_labels_are_the_originals(
    whole_words: bool, spans: Spans | None
) -> None:
    case = hide(Masking(0.3, whole_words, spans))
    chosen, token_ids = case.chosen, case.hidden.token_ids
    assert torch.equal(token_ids[~chosen], case.text.token_ids[~chosen])
    assert torch.equal(case.hidden.labels[chosen], case.text.token_ids[chosen])
    assert not (chosen & ~case.ordinary).any()
    assert not SPECIAL[token_ids[chosen]][token_ids[chosen] != MASK].any()


@pytest.mark.parametrize("spans", [None, Spans()])
def test_whole_words_are_hidden_together(spans: Spans | None) -> None:
    case = hide(Masking(0.3, whole_words=True, spans=spans))
    goes_on = VOCABULARY.continues_word[case.text.token_ids] & case.text.attention_mask
    pairs = goes_on[:, 1:] & ~SPECIAL[case.text.token_ids[:, :-1]]
    assert pairs.sum() > 1000
    assert torch.equal(case.chosen[:, 1:][pairs], case.chosen[:, :-1][pairs])


def test_a_word_ends_where_a_text_does() -> None:
    token_ids = torch.tensor([[10, 30, 31, 32]]).expand(4000, 4).contiguous()
    text = TextBatch(token_ids, torch.ones_like(token_ids, dtype=torch.bool))
    positions = torch.tensor([[0, 1, 0, 1]]).expand(4000, 4)
    masking = Masking(0.5, whole_words=True)
    chosen = (
        hide_tokens(text, positions, VOCABULARY, masking, torch.Generator().manual_seed(0)).labels
        != IGNORED
    )
    assert torch.equal(chosen[:, 0], chosen[:, 1])
    assert torch.equal(chosen[:, 2], chosen[:, 3])
    assert share(chosen[:, 1] == chosen[:, 2], chosen[:, 1] | True) == pytest.approx(0.5, abs=0.03)


def test_spans_have_geometric_lengths_and_one_fate() -> None:
    # Rare spans rarely touch: the lengths of runs are those of spans.
    token_ids = torch.full((4000, 100), 10)
    text = TextBatch(token_ids, torch.ones_like(token_ids, dtype=torch.bool))
    case = hide(Masking(0.01, spans=Spans(0.2, 10)), text=text)
    chosen = torch.nn.functional.pad(case.chosen, (1, 1))[:, :-1]
    starts, ends = chosen[:, 1:] & ~chosen[:, :-1], chosen[:, :-1] & ~chosen[:, 1:]
    mean = float(case.chosen.sum() / starts.sum())
    assert ends.shape == starts.shape
    assert mean == pytest.approx((1 - 0.8**10) / 0.2, rel=0.05)
    pairs = case.chosen[:, 1:] & case.chosen[:, :-1]
    is_masked = case.hidden.token_ids == MASK
    assert torch.equal(is_masked[:, 1:][pairs], is_masked[:, :-1][pairs])


def test_first_words_are_hidden_as_often_as_others() -> None:
    token_ids = torch.full((20_000, 12), 10)
    text = TextBatch(token_ids, torch.ones_like(token_ids, dtype=torch.bool))
    rates = hide(Masking(0.15, spans=Spans()), text=text).chosen.float().mean(dim=0)
    assert rates.tolist() == pytest.approx([0.15] * 12, abs=0.012)


def test_the_rate_of_spans_grows_with_the_share() -> None:
    assert 0.0 < span_rate(0.1, Spans()) < span_rate(0.2, Spans()) < 0.2


def test_of_triples_the_tail_is_masked_and_nothing_else() -> None:
    text = texts(4)
    is_triple = torch.zeros_like(text.attention_mask)
    is_triple[1] = True
    is_tail = is_triple & (torch.arange(40) >= 3)
    case = hide(Masking(0.3), text=text, triples=TripleParts(is_triple, is_tail))
    assert torch.equal(case.chosen[1], is_tail[1] & case.ordinary[1])
    assert (case.hidden.token_ids[1][case.chosen[1]] == MASK).all()
    others = hide(Masking(0.3), text=text)
    assert torch.equal(case.hidden.labels[0], others.hidden.labels[0])


def test_masks_follow_the_generator() -> None:
    first, again, other = (hide(Masking(), seed) for seed in (0, 0, 1))
    assert torch.equal(first.hidden.token_ids, again.hidden.token_ids)
    assert not torch.equal(first.hidden.labels, other.hidden.labels)
