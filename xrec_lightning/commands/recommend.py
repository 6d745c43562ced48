"""``xrec recommend``: the lists of a trained run, with titles and reasons."""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import polars as pl
from rich.console import Console
from rich.table import Table

from xrec_lightning.cli import load_run
from xrec_lightning.data.behavior.known import Until
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.errors import InputError
from xrec_lightning.inference.recommender import Recommender, recommend
from xrec_lightning.modules.ranking import RankingModule
from xrec_lightning.schema import DOMAIN, ITEM_ID, REASON, TITLE, USER_ID

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Write the lists of users and show those of the first few.

    Raises:
        InputError: If the run holds no recommender.
        FileNotFoundError: If the run has no config or no checkpoint.
    """
    options = _parser().parse_args(arguments)
    run = load_run(options.run)
    if not isinstance(run.model, RankingModule) or not isinstance(
        run.datamodule, BehaviorDataModule
    ):
        raise InputError(f"{options.run}: a {type(run.model).__name__} does not recommend")
    run.datamodule.until = options.until
    recommender = Recommender(
        run.model.to(run.trainer.strategy.root_device),
        run.datamodule,
        top_k=options.top_k,
        with_reasons=not options.no_reasons,
    )
    num_rows = recommend(recommender, options.output, _users(options))
    logger.info("%s: %d rows", options.output, num_rows)
    if options.show:
        _show(options.output, options.show)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="xrec recommend",
        description="Write the best items of each user and domain, with titles and reasons. Seen "
        "items and repeated texts are left out.",
    )
    parser.add_argument("run", type=Path, help="run folder of a trained recommender")
    parser.add_argument("--output", type=Path, required=True, help=".parquet or .csv file")
    parser.add_argument("--top_k", type=int, default=10, help="items of a list")
    parser.add_argument(
        "--until",
        choices=get_args(Until),
        default="now",
        help="what is known of each user: the training part, what came before the validation or "
        "test target, or everything",
    )
    parser.add_argument("--users", metavar="ID,ID", help="raw ids of the users; all by default")
    parser.add_argument("--users_file", type=Path, help="text file with one raw id a line")
    parser.add_argument("--no_reasons", action="store_true", help="leave the reasons empty")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N users' best")
    return parser


def _users(options: Namespace) -> list[str] | None:
    if options.users_file is not None:
        lines = options.users_file.read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return None if options.users is None else [user.strip() for user in options.users.split(",")]


def _show(path: Path, num_users: int) -> None:
    """Print the best item of each domain for the first users."""
    lists = pl.scan_csv(path) if path.suffix == ".csv" else pl.scan_parquet(path)
    best = lists.filter(pl.col("rank") == 1)
    users = best.select(pl.col(USER_ID).unique(maintain_order=True)).head(num_users)
    rows = best.join(users, on=USER_ID, how="semi", maintain_order="left").collect()
    table = Table(title=f"The best item of each domain for {num_users} users", title_justify="left")
    for header in ("user", "domain", "item", "reason"):
        table.add_column(header)
    for (user,), items in rows.group_by([USER_ID], maintain_order=True):
        for index, item in enumerate(items.iter_rows(named=True)):
            table.add_row(
                str(user) if index == 0 else "",
                item[DOMAIN],
                item[TITLE] or str(item[ITEM_ID]),
                item[REASON] or "",
                end_section=index == items.height - 1,
            )
    Console().print(table)
