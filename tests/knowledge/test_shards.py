import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from xrec_lightning.knowledge.formats import pack
from xrec_lightning.knowledge.shards import Shard, Shards, refuse_lost
from xrec_lightning.knowledge.store import StoreError


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    shards = Shards(tmp_path / "shards")
    for number, keys in enumerate((["k1", "k2"], ["k3"])):
        shards.write(Shard("plan", keys, pack(torch.full((len(keys), 3), number + 0.5), "int8")))
    return shards


def test_shards_are_read_as_they_were_written(shards: Shards) -> None:
    first, second = shards.read()
    assert (first.plan, first.keys, second.keys) == ("plan", ["k1", "k2"], ["k3"])
    assert first.columns["vectors"].tolist() == [[127] * 3] * 2
    assert second.columns["scales"].tolist() == pytest.approx([1.5 / 127])


def foreign(path: Path) -> None:
    save_file({"vectors": torch.zeros(2, 3)}, path)


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 8]))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="cut off"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(flip, id="one bit"),
        pytest.param(foreign, id="another format"),
    ],
)
def test_a_damaged_shard_is_thrown_away_with_a_message(
    shards: Shards, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    path = shards.folder / "k1.safetensors"
    damage(path)
    with caplog.at_level(logging.WARNING):
        assert [shard.keys for shard in shards.read()] == [["k3"]]
    assert not path.exists()
    (message,) = caplog.messages
    assert str(path) in message
    assert "encoded again" in message


def test_half_a_write_is_no_shard(shards: Shards) -> None:
    (shards.folder / "k4.partial").write_bytes(b"half")
    assert [shard.keys for shard in shards.read()] == [["k1", "k2"], ["k3"]]


def test_removed_shards_are_gone_and_none_is_fine(shards: Shards) -> None:
    shards.remove()
    shards.remove()
    assert list(shards.read()) == []


def test_lost_vectors_are_named(tmp_path: Path) -> None:
    refuse_lost([], tmp_path)
    with pytest.raises(StoreError, match=r"2 vectors .* are lost, .* key k7; check the disk"):
        refuse_lost(["k7", "k8"], tmp_path)
