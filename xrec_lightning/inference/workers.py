"""Encoding in several processes: those of this machine, or the ranks that `torchrun` started."""

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context, parent_process
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed

from xrec_lightning.inference.encoding import EncoderConfig, Ints, TextEncoder, choose_device

Shared = TypeVar("Shared")

START_METHOD = "spawn"
"""How processes begin: without the threads and locks of this one."""
_PATIENCE = timedelta(days=7)
_encoders: list[TextEncoder] = []
"""The encoder of a worker process."""


class Ranks(NamedTuple):
    """This process among those that `torchrun` started."""

    rank: int
    size: int

    def share(self, value: Shared | None) -> Shared:
        """Return the value that rank 0 has."""
        values: list[Any] = [value]
        if self.size > 1:
            distributed.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Give this process's place; without `torchrun` it is the only one.

    Ranks talk by way of their CPUs, and wait for each other as long as it takes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(0, 1)
        return
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Ranks(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


def encode_here(encoder: TextEncoder, blocks: Iterable[Ints]) -> Iterator[Tensor]:
    """Yield the vectors of each block of tokens, with the threads that torch has."""
    yield from map(encoder.encode, blocks)


def encode_apart(
    config: EncoderConfig, blocks: Iterable[Ints], num_processes: int
) -> Iterator[Tensor]:
    """Yield the vectors of each block of tokens, in order, made by processes of one thread each.

    Raises:
        ChildProcessError: If a process dies.
    """
    context = get_context(START_METHOD)
    numbers = context.SimpleQueue()
    for number in range(num_processes):
        numbers.put(number)
    pool = ProcessPoolExecutor(num_processes, context, _start_worker, (config, numbers))
    try:
        with pool:
            yield from pool.map(_encode_in_worker, blocks)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"one of {num_processes} processes died, most likely for want of memory: set fewer "
            "`processes`; what is done is kept"
        ) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: the number of threads changes last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start_worker(config: EncoderConfig, numbers: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _encoders.append(TextEncoder(config, choose_device(config.precision, numbers.get())))


def _end_with_parent() -> None:
    """End this process when its parent is killed, since nobody else would."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _encode_in_worker(token_ids: Ints) -> Tensor:
    return _encoders[0].encode(token_ids)
