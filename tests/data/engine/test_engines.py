"""Steps on shards in this process."""

import pytest

from xrec_lightning.data.engine.engines import LocalEngine


def test_results_are_in_the_order_of_the_shards() -> None:
    engine = LocalEngine()
    assert engine.map(lambda shard: shard * 10, [2, 0, 1]) == [20, 0, 10]
    assert engine.map(lambda shard: shard, []) == []
    assert (engine.min_shards, engine.shares_memory) == (1, True)


def test_the_first_error_ends_the_work() -> None:
    seen = []

    def step(shard: int) -> None:
        seen.append(shard)
        if shard == 1:
            raise ValueError("shard 1")

    with pytest.raises(ValueError, match="shard 1"):
        LocalEngine().map(step, range(4))
    assert seen == [0, 1]
