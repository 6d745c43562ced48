"""Small logs in indices, as the steps see them."""

from collections.abc import Callable, Sequence

import polars as pl
import pytest

Row = tuple[int, int, int]


@pytest.fixture(scope="session")
def make_events() -> Callable[..., pl.DataFrame]:
    """Return a function of rows (user, item, time) that gives a log as the steps get it.

    Items of even index are of domain 0, others of domain 1, unless ``domains`` says so; any other
    column is given by name.
    """

    def make(
        rows: Sequence[Row], domains: Sequence[int] | None = None, **columns: Sequence[object]
    ) -> pl.DataFrame:
        indices = ("user_index", "item_index")
        dtypes = {**dict.fromkeys(indices, pl.Int32), "timestamp": pl.Int64}
        log = pl.DataFrame(rows, schema=dtypes, orient="row")
        domains = [item % 2 for _, item, _ in rows] if domains is None else domains
        others = {"event": pl.String, "session_id": pl.String}
        return log.with_columns(
            pl.Series("domain_index", domains, pl.Int32),
            pl.Series("source", ["log.csv"] * len(rows), pl.Enum(["log.csv"])),
            pl.Series("row", range(len(rows)), pl.UInt32),
            pl.lit(None, pl.String).alias("value"),
            *(
                pl.Series(name, values, others.get(name, pl.Float32))
                for name, values in columns.items()
            ),
        )

    return make
