"""The log, parted by users: a shard holds a range of user ids, so that shards follow in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.tables import InteractionsConfig
from xrec_lightning.data.engine.disk import explain_full_disk
from xrec_lightning.data.engine.engines import Engine
from xrec_lightning.data.raw.anonymize import hash_table
from xrec_lightning.data.raw.broken import explain_errors
from xrec_lightning.data.raw.kinds import SourceFile
from xrec_lightning.data.raw.readers import read_log
from xrec_lightning.data.steps.links import replace_ids

_SHARD = "_shard"
_COUNT = "_count"
_BYTES_A_ROW = {".parquet": 10, ".gz": 10, ".zst": 10}
_BYTES_A_TEXT_ROW = 25


@dataclass(frozen=True)
class LogFiles:
    """The files of the log and what becomes of its ids."""

    files: Sequence[SourceFile]
    config: InteractionsConfig
    columns: Sequence[str]
    """Columns of all files together."""
    user_ids: pl.DataFrame | None = None
    """Columns `id` and `canonical`; users that are not in it keep their id."""
    item_ids: pl.DataFrame | None = None
    """The same of items."""
    first_rows: Sequence[int] | None = None
    """Number of rows before each file; needed where the order of the files is the time."""

    def scan(self, index: int) -> pl.LazyFrame:
        """Return the rows of a file in our schema, ids replaced; nulls in columns it lacks."""
        names = pl.Enum([file.name for file in self.files])
        first = self.first_rows[index] if self.first_rows else 0
        rows = read_log(self.files[index], self.config, names, first, has_blanks=True)
        given = rows.collect_schema().names()
        dtypes = schema.INTERACTION_DTYPES
        rows = rows.select(
            name if name in given else pl.lit(None, dtypes[name]).alias(name)
            for name in self.columns
        )
        if self.user_ids is not None:
            rows = replace_ids(rows, self.user_ids, schema.USER_ID)
        if self.item_ids is not None:
            rows = replace_ids(rows, self.item_ids, schema.ITEM_ID)
        return rows

    def find_ids(self, wanted: Mapping[str, pl.Series], engine: Engine) -> dict[str, pl.Series]:
        """Return which of the ids wanted of each column occur, before any is replaced."""
        raw = replace(self, user_ids=None, item_ids=None)
        parts = engine.map(partial(_find_ids, raw, wanted), range(len(self.files)))
        return {name: pl.concat([part[name] for part in parts]).unique() for name in wanted}

    def anonymous(self, key: bytes, engine: Engine) -> "LogFiles":
        """Return the same with users under keyed hashes of their ids."""
        hashed = hash_table(self.count_users(engine)[schema.USER_ID], key)
        hashed = hashed.rename({"hashed": "canonical"})
        if self.user_ids is None:
            return replace(self, user_ids=hashed)
        linked = self.user_ids.join(hashed, left_on="canonical", right_on="id", how="inner")
        linked = linked.select("id", pl.col("canonical_right").alias("canonical"))
        return replace(self, user_ids=pl.concat([linked, hashed]).unique("id", keep="first"))

    def count_users(self, engine: Engine) -> pl.DataFrame:
        """Return the number of rows of each user, sorted by user_id."""
        parts = engine.map(partial(_count_users, self), range(len(self.files)))
        counts = pl.concat(parts).group_by(schema.USER_ID).agg(pl.col(_COUNT).sum())
        return counts.filter(pl.col(schema.USER_ID) != "").sort(schema.USER_ID)


def open_log(
    files: Sequence[SourceFile],
    config: InteractionsConfig,
    user_ids: pl.DataFrame | None,
    item_ids: pl.DataFrame | None,
) -> LogFiles:
    """Return the files of the log; only their columns are read, unless their order is the time.

    Raises:
        InputError: If a file lacks a required or a mapped column, or cannot be read.
    """
    # Workers may have another working directory.
    files = [SourceFile(file.path.absolute(), file.name) for file in files]
    names = pl.Enum([file.name for file in files])
    found = [read_log(file, config, names).collect_schema().names() for file in files]
    columns = list(dict.fromkeys(name for each in found for name in each))
    log = LogFiles(files, config, columns, user_ids, item_ids)
    if config.order == "time" or len(files) == 1:
        return log
    counts = [log.scan(index).select(pl.len()) for index in range(len(files))]
    with explain_errors(files, config.encoding):
        lengths = [each.collect(engine="streaming").item() for each in counts]
    return replace(log, first_rows=[sum(lengths[:index]) for index in range(len(files))])


class ParsedLog:
    """The interactions, parted by users, as they were read.

    Args:
        empty: No rows, with the columns of the log.
        num_shards: Number of shards.
        rows: All rows where there is one shard.
        folder: Folder of the parts of each file otherwise.
    """

    def __init__(
        self, empty: pl.DataFrame, num_shards: int, rows: pl.DataFrame | None, folder: Path
    ) -> None:
        self.empty = empty
        self.num_shards = num_shards
        self.folder = folder
        self._rows = rows

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the log."""
        return self.empty.columns

    def read(self, shard: int) -> pl.DataFrame:
        """Return the rows of a shard."""
        if self._rows is not None:
            return self._rows
        parts = [pl.read_parquet(path, memory_map=False) for path in self._paths(shard)]
        return pl.concat([self.empty, *parts])

    def take(self, shard: int) -> pl.DataFrame:
        """Return the rows of a shard for the last time."""
        rows = self.read(shard)
        self._rows = None
        for path in self._paths(shard):
            path.unlink()
        return rows

    def _paths(self, shard: int) -> list[Path]:
        return sorted(self.folder.glob(f"*/{_SHARD}={shard}/*.parquet"))


def count_shards(files: Sequence[SourceFile], rows_per_shard: int) -> int:
    """Return into how many shards a log is parted, from the sizes of its files."""
    sizes = (
        file.path.stat().st_size / _BYTES_A_ROW.get(file.path.suffix, _BYTES_A_TEXT_ROW)
        for file in files
    )
    return max(1, round(sum(sizes) / rows_per_shard))


def part_log(log: LogFiles, folder: Path, num_shards: int, engine: Engine) -> ParsedLog:
    """Return the log in memory if one shard is wanted, else in files of ``folder``.

    Raises:
        InputError: If a row breaks the form of its file, such as one with too many fields.
    """
    indices = range(len(log.files))
    empty = pl.DataFrame(schema=log.scan(0).collect_schema())
    if num_shards == 1:
        rows = pl.concat([log.scan(index) for index in indices])
        with explain_errors(log.files, log.config.encoding):
            return ParsedLog(empty, 1, rows.collect(engine="streaming"), folder)
    bounds = find_bounds(log.count_users(engine), num_shards)
    engine.map(partial(_part_file, log, folder, bounds), indices)
    return ParsedLog(empty, len(bounds) + 1, None, folder)


def find_bounds(counts: pl.DataFrame, num_shards: int) -> list[str]:
    """Return the first user of every shard but the first, so that all have about as many rows."""
    total = counts[_COUNT].sum()
    ends = counts[_COUNT].cum_sum()
    firsts = [int((ends <= total * number // num_shards).sum()) for number in range(1, num_shards)]
    return [
        counts[schema.USER_ID][first] for first in sorted(set(firsts)) if 0 < first < len(counts)
    ]


def _count_users(log: LogFiles, index: int) -> pl.DataFrame:
    counts = log.scan(index).group_by(schema.USER_ID).agg(pl.len().alias(_COUNT))
    with explain_errors([log.files[index]], log.config.encoding):
        return counts.collect(engine="streaming")


def _find_ids(log: LogFiles, wanted: Mapping[str, pl.Series], index: int) -> dict[str, pl.Series]:
    found = log.scan(index).select(
        pl.col(name).filter(pl.col(name).is_in(ids.implode())).unique().implode()
        for name, ids in wanted.items()
    )
    with explain_errors([log.files[index]], log.config.encoding):
        row = found.collect(engine="streaming")
    return {name: row[name].explode(empty_as_null=False) for name in wanted}


def _part_file(log: LogFiles, folder: Path, bounds: Sequence[str], index: int) -> None:
    is_from = [(pl.col(schema.USER_ID) >= bound).fill_null(False) for bound in bounds]
    rows = log.scan(index).with_columns(pl.sum_horizontal(pl.lit(0), *is_from).alias(_SHARD))
    parts = pl.PartitionBy(folder / str(index), key=_SHARD, include_key=False)
    with explain_errors([log.files[index]], log.config.encoding), explain_full_disk(folder):
        rows.sink_parquet(parts, compression="lz4", statistics=False, mkdir=True)
