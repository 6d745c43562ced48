import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.text.text_batches import TextBatches, TextRows, draw_texts, token_batches

LENGTHS = np.random.default_rng(0).integers(3, 20, 300)
DOMAINS = np.repeat([0, 1, 2], [20, 200, 80])
ROWS = np.arange(1000, 1300)


def batches(epoch: int = 0, **options: object) -> list[TextRows]:
    sampler = TextBatches(ROWS, LENGTHS, DOMAINS, 100, **options)  # type: ignore[arg-type]  # of a test
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(sampler)
    return drawn


def rows(drawn: list[TextRows]) -> list[int]:
    return sorted(row for each in drawn for row in each.rows.tolist())


@pytest.mark.parametrize("is_packed", [False, True])
def test_an_epoch_holds_every_text_once_within_the_budget(is_packed: bool) -> None:
    drawn = batches(is_packed=is_packed)
    assert rows(drawn) == ROWS.tolist()
    for each in drawn:
        lengths = LENGTHS[each.rows - 1000]
        used = lengths.sum() if is_packed else lengths.max() * len(lengths)
        assert used <= 100


def test_epochs_differ_and_follow_the_seed() -> None:
    first, again, later, other = batches(), batches(), batches(epoch=1), batches(seed=1)
    assert [each.rows.tolist() for each in first] == [each.rows.tolist() for each in again]
    for drawn in (later, other):
        assert [each.rows.tolist() for each in first] != [each.rows.tolist() for each in drawn]
        assert not {each.key for each in first} & {each.key for each in drawn}


def test_keys_make_the_random_numbers() -> None:
    one, same, other = (TextRows(ROWS, key).generator() for key in ((0, 1), (0, 1), (0, 2)))
    assert one.initial_seed() == same.initial_seed() != other.initial_seed()


@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_the_batches_and_repeat_the_first_only(count: int) -> None:
    alone = batches()
    shares = [batches(num_replicas=count, rank=rank) for rank in range(count)]
    assert len({len(share) for share in shares}) == 1
    dealt = [each for at in zip(*shares, strict=True) for each in at]
    assert [each.rows.tolist() for each in dealt[: len(alone)]] == [
        each.rows.tolist() for each in alone
    ]
    assert [each.key for each in dealt[: len(alone)]] == [each.key for each in alone]
    assert len(dealt) - len(alone) < count


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_domains_serve_tokens_in_proportion_to_a_power(power: float) -> None:
    drawn = draw_texts(LENGTHS, DOMAINS, power, np.random.default_rng(0))
    served = np.bincount(DOMAINS[drawn], LENGTHS[drawn])
    wanted = np.bincount(DOMAINS, LENGTHS) ** power
    np.testing.assert_allclose(served / served.sum(), wanted / wanted.sum(), atol=0.03)
    for domain in range(3):
        counts = np.bincount(drawn[DOMAINS[drawn] == domain], minlength=300)[domain == DOMAINS]
        assert counts.max() - counts.min() <= 1


def test_balanced_epochs_are_equally_long() -> None:
    assert len({len(batches(epoch, domain_power=0.3)) for epoch in range(5)}) == 1


def test_no_texts_make_no_batches() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert list(TextBatches(nothing, nothing, nothing, 100, domain_power=0.5)) == []


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 60))
def test_token_batches_keep_the_order_within_the_budget(lengths: list[int], budget: int) -> None:
    cut = token_batches(np.array(lengths, dtype=np.int64), budget)
    assert [row for batch in cut for row in batch.tolist()] == list(range(len(lengths)))
    for batch in cut:
        used = [lengths[row] for row in batch]
        assert sum(used) <= budget or sum(length > 0 for length in used) == 1
