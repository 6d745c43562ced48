"""A data set without any fault: 4 users, 20 items, two domains."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig, UsersConfig

START = 1_600_000_000
STEP = 7200
NOW = 1_700_000_000


class Data(NamedTuple):
    """The lines of the files, as lists of fields."""

    log: list[list[str]]
    items: list[list[str]]
    users: list[list[str]]


def clean_data() -> Data:
    """Return every user with every item, each event two hours after the one before."""
    domains = ["x"] * 10 + ["y"] * 10
    log = [
        [f"u{user}", f"i{item:02}", domains[item], str(START + STEP * (4 * item + user))]
        for item in range(20)
        for user in range(4)
    ]
    items = [[f"i{item:02}", domains[item], f"Tea no {item}"] for item in range(20)]
    return Data(log, items, [[f"u{user}", f"likes tea {user}"] for user in range(4)])


class MakeData:
    """Writes a data set and gives its config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        change: Callable[[Data], object] = lambda _: None,
        *,
        more: Sequence[str] = (),
        **settings: object,
    ) -> PrepareConfig:
        """Return the config of `clean_data` after a ``change``; ``more`` are columns of the log."""
        data = clean_data()
        change(data)
        header = ["user_id", "item_id", "domain", "timestamp", *more]
        config = PrepareConfig(
            interactions=InteractionsConfig(path=self._write("log.csv", header, data.log)),
            items=ItemsConfig(
                path=self._write("items.csv", ["item_id", "domain", "title"], data.items),
                title="title",
                text=["title"],
            ),
            users=UsersConfig(
                path=self._write("users.csv", ["user_id", "about"], data.users), text=["about"]
            ),
            output=str(self.folder / "prepared"),
        )
        return replace(config, **settings)

    def _write(self, name: str, header: list[str], rows: list[list[str]]) -> str:
        path = self.folder / name
        path.write_text("".join(",".join(row) + "\n" for row in [header, *rows]))
        return str(path)


@pytest.fixture
def make_data(tmp_path: Path) -> MakeData:
    return MakeData(tmp_path)
