import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xrec_lightning.inference import workers
from xrec_lightning.inference.encoding import EncoderConfig, TextEncoder
from xrec_lightning.inference.workers import (
    Ranks,
    encode_apart,
    encode_here,
    joined_ranks,
    one_thread,
)

PROCESSES = """
import os, sys
from pathlib import Path
from xrec_lightning.inference import embed as module, workers
from xrec_lightning.inference.embed import EmbedConfig, embed

module.TEXTS_FOR_A_PROCESS = 10
workers.START_METHOD = "fork"  # a new interpreter takes seconds to import everything again

config = {
    "dataset": Path(sys.argv[1]), "model": sys.argv[2], "batch_tokens": 40, "shard_texts": 3,
    "kinds": ("item", "domain", "history"), "max_tokens": 32,
}
folder = Path(sys.argv[3])

def start(rank, size, output, **more):
    child = os.fork()  # before any frame is made, so that no thread is lost
    if child == 0:
        os.environ.update(
            RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="localhost", MASTER_PORT=sys.argv[4]
        )
        embed(EmbedConfig(output=output, **config, **more))
        os._exit(0)
    return child

children = [start(rank, 3, folder / "ranks") for rank in range(3)]
children += [start(0, 1, folder / "one"), start(0, 1, folder / "pool", processes=3)]
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""

ORPHANS = """
import os, sys
import numpy as np
from xrec_lightning.inference.encoding import EncoderConfig
from xrec_lightning.inference.workers import encode_apart

def children():
    return open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()

if __name__ == "__main__":
    vectors = encode_apart(EncoderConfig(model=sys.argv[1]), (np.full((1, 3), 5),) * 4, 2)
    next(vectors)
    print(*children(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def config(tiny_language: str) -> EncoderConfig:
    return EncoderConfig(model=tiny_language)


def free_port() -> int:
    store = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    return store.port


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_new_interpreters_make_the_bytes_of_one(config: EncoderConfig) -> None:
    generator = np.random.default_rng(0)
    blocks = [generator.integers(5, 40, (rows, 3 + rows)) for rows in range(1, 7)]
    with one_thread():
        here = list(encode_here(TextEncoder(config, torch.device("cpu")), blocks))
    apart = list(encode_apart(config, blocks, 2))
    assert [vectors.shape for vectors in apart] == [(rows, 16) for rows in range(1, 7)]
    assert all(map(torch.equal, here, apart))


def test_ranks_and_processes_write_the_bytes_of_one_process(
    tiny_dataset: Path, tiny_language: str, tmp_path: Path
) -> None:
    words = [str(tiny_dataset), tiny_language, str(tmp_path), str(free_port())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROCESSES, *words], check=True, env=environment)
    assert contents(tmp_path / "ranks") == contents(tmp_path / "one")
    assert contents(tmp_path / "pool") == contents(tmp_path / "one")
    assert {path.name for path in tmp_path.iterdir()} == {"ranks", "pool", "one"}


def test_a_dead_process_is_told_with_a_remedy(
    config: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __init__(self, *_: Any) -> None: ...
        def __enter__(self) -> "Broken":
            return self

        def __exit__(self, *_: object) -> None: ...
        def map(self, *_: Any) -> None:
            raise BrokenProcessPool

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Broken)
    with pytest.raises(ChildProcessError, match=r"one of 3 processes died.*fewer `processes`"):
        list(encode_apart(config, [], 3))


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_ranks() as ranks:
        assert ranks == Ranks(0, 1)
        assert ranks.share("value") == "value"
        ranks.wait()


def test_one_thread_lasts_as_long_as_the_block() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_processes_end_when_their_parent_is_killed(tiny_language: str, tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"  # a file, since new processes import it
    script.write_text(ORPHANS)
    parent = subprocess.Popen(
        [sys.executable, str(script), tiny_language], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    children = [Path("/proc") / word for word in parent.stdout.readline().decode().split()]
    assert len(children) >= 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while any(child.exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(child.exists() for child in children)
