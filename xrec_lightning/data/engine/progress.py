"""How far `prepare` is, and how long its steps take."""

import sys
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Steps:
    """Steps that end one after the other.

    Args:
        names: The steps.
        progress: Where they are shown.
        seconds: Filled with the wall time of each step.
    """

    def __init__(
        self, names: Sequence[str], progress: Progress, seconds: MutableMapping[str, float]
    ) -> None:
        self.names = list(names)
        self.progress = progress
        self.seconds = seconds
        self.task = progress.add_task(names[0], total=len(names))
        self.number = 0
        self.started = time.perf_counter()

    def done(self, name: str) -> None:
        """Tell that the step ``name``, the next of all, has ended."""
        now = time.perf_counter()
        self.seconds[name] = now - self.started
        self.started = now
        self.number += 1
        after = self.names[self.number] if self.number < len(self.names) else "done"
        self.progress.update(self.task, advance=1, description=after)


@contextmanager
def show_steps(
    title: str, names: Sequence[str], seconds: MutableMapping[str, float]
) -> Iterator[Steps]:
    """Yield the steps; a bar is shown on terminals only."""
    columns = (
        TextColumn(title + ": {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        yield Steps(names, progress, seconds)
