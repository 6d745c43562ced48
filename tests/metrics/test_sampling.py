import torch
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.metrics.sampling import keep_sampled


@given(st.integers(0, 12), st.integers(1, 6), st.integers(0, 5))
def test_the_target_and_so_many_candidates_stay(negatives: int, rows: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    is_candidate = torch.rand(rows, 10, generator=generator) < 0.7
    targets = torch.randint(0, 10, (rows,), generator=generator)
    kept = keep_sampled(is_candidate, targets, torch.arange(rows), negatives, seed)
    for row, target in enumerate(targets.tolist()):
        assert kept[row, target]
        others = kept[row].clone()
        others[target] = False
        assert not (others & ~is_candidate[row]).any()
        available = int(is_candidate[row].sum()) - int(is_candidate[row, target])
        assert int(others.sum()) == min(negatives, available)


def test_a_row_draws_the_same_in_any_batch() -> None:
    is_candidate, targets = torch.ones(6, 500).bool(), torch.arange(6)
    together = keep_sampled(is_candidate, targets, torch.arange(6), 50)
    alone = [
        keep_sampled(is_candidate[row : row + 1], targets[row : row + 1], torch.tensor([row]), 50)
        for row in range(6)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert not torch.equal(together[0, 6:], together[1, 6:])
    other = keep_sampled(is_candidate, targets, torch.arange(6), 50, seed=1)
    assert not torch.equal(together, other)


def test_negatives_are_uniform() -> None:
    rows = 2000
    kept = keep_sampled(
        torch.ones(rows, 20).bool(), torch.zeros(rows).long(), torch.arange(rows), 5
    )
    shares = kept[:, 1:].float().mean(dim=0)
    assert kept[:, 0].all()
    # Standard error .0098 around 5 / 19.
    torch.testing.assert_close(shares, torch.full((19,), 5 / 19), atol=0.04, rtol=0)
