"""Faults that one row of the log shows by itself, and the totals of all rows."""

from typing import NamedTuple

import polars as pl

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.findings import Finding, Severity, share_of
from xrec_lightning.data.raw.contacts import contact_in
from xrec_lightning.data.report.table import KEY, KeyedTable, Located

PLACEHOLDERS = ("-1", "nan", "none", "null", "nil", "n/a", "unknown", "undefined")
"""Ids, in lower case, that stand for no id at all."""
EARLY = 631_152_000
"""Times before 1990 are rather numbers of days, or of another unit."""

_RENAME = "map another column to `{0}` in `interactions.columns`, or correct the rows"

_OPTIONAL = (schema.DOMAIN, schema.RATING)
"""Columns that may be empty in every row."""


class Check(NamedTuple):
    """A fault of single rows."""

    severity: Severity
    code: str
    column: str
    condition: pl.Expr
    message: str
    remedy: str


class Totals(NamedTuple):
    """What all rows of the log have together."""

    rows: int
    accepted: int
    """Rows with user, item, time and, if any row has one, a domain."""
    has_domains: bool
    has_times: bool
    """False where the order of the file is the time."""
    nulls: dict[str, int]
    """By column."""
    first_time: int | None
    last_time: int | None
    time_breaks: int
    """Rows that are earlier than the row before."""
    user_breaks: int
    """Those whose row before is of the same user."""
    user_changes: int
    """Rows whose row before is of another user."""
    first_time_break: int | None
    first_user_break: int | None
    rating_range: tuple[float, float] | None


def row_checks(config: PrepareConfig, columns: list[str], now: int) -> list[Check]:
    """Return the checks that fit the columns of the log.

    Args:
        config: The data set.
        columns: Our columns that the log has.
        now: Seconds since 1970 after which a time is future.
    """
    checks = [*_missing_checks(config), *_id_checks(is_hashed=config.anonymize.users)]
    if config.interactions.order == "time":
        checks += _time_checks(now)
    number_checks = {schema.RATING: _rating_check, schema.WEIGHT: _weight_check}
    return checks + [make() for column, make in number_checks.items() if column in columns]


def total_frame(log: KeyedTable, checks: list[Check]) -> pl.LazyFrame:
    """Return the one row of totals and of counts and first rows of the checks."""
    time = pl.col(schema.TIMESTAMP)
    is_break = (time < time.shift(1)).fill_null(False)
    is_same_user = pl.col(schema.USER_ID).eq_missing(pl.col(schema.USER_ID).shift(1))
    expressions = [
        pl.len().alias("rows"),
        is_accepted().sum().alias("accepted"),
        is_accepted(has_domains=True).sum().alias("with_domain"),
        pl.struct(pl.col(log.columns).null_count()).alias("nulls"),
        time.filter(is_accepted()).min().alias("first_time"),
        time.filter(is_accepted()).max().alias("last_time"),
        is_break.sum().alias("time_breaks"),
        (is_break & is_same_user).sum().alias("user_breaks"),
        (~is_same_user).sum().alias("user_changes"),
        pl.col(KEY).filter(is_break).min().alias("first_time_break"),
        pl.col(KEY).filter(is_break & is_same_user).min().alias("first_user_break"),
    ]
    if schema.RATING in log.columns:
        rating = pl.col(schema.RATING).filter(pl.col(schema.RATING).is_finite())
        expressions += [rating.min().alias("rating_min"), rating.max().alias("rating_max")]
    for check in checks:
        condition = check.condition.fill_null(False)
        expressions += [
            condition.sum().alias(f"count {check.code} {check.column}"),
            pl.col(KEY).filter(condition).min().alias(f"key {check.code} {check.column}"),
        ]
    return log.rows.select(expressions)


def read_totals(table: pl.DataFrame, *, has_times: bool = True) -> Totals:
    """Return the totals in a collected `total_frame`."""
    row = table.row(0, named=True)
    least = row.get("rating_min")
    has_domains = row["nulls"][schema.DOMAIN] < row["rows"]
    own = {
        "accepted": row["with_domain" if has_domains else "accepted"],
        "has_domains": has_domains,
        "has_times": has_times,
        "rating_range": None if least is None else (least, row["rating_max"]),
    }
    return Totals(**{**{name: row.get(name) for name in Totals._fields}, **own})


def find_faults(table: pl.DataFrame, checks: list[Check], totals: Totals) -> list[Located]:
    """Return the findings in a collected `total_frame`."""
    row = table.row(0, named=True)
    found = []
    for check in checks:
        count = row[f"count {check.code} {check.column}"]
        if count and not (check.column in _OPTIONAL and count == totals.rows):
            finding = Finding(
                severity=check.severity,
                code=check.code,
                message=check.message,
                remedy=check.remedy,
                count=count,
                share=share_of(count, totals.rows),
                column=check.column,
            )
            found.append(Located(finding, row[f"key {check.code} {check.column}"]))
    return found


def time_order(totals: Totals, num_users: int) -> str:
    """Return what the rows are sorted by: `time`, `user, time`, `user` (in blocks) or `nothing`."""
    if not totals.time_breaks:
        return "time"
    if totals.user_changes != num_users:
        return "nothing"
    return "user" if totals.user_breaks else "user, time"


def is_accepted(has_domains: bool = False) -> pl.Expr:
    """Return whether a row has what `prepare` needs.

    Args:
        has_domains: Whether any row has a domain; then all need one.
    """
    needed = [schema.USER_ID, schema.ITEM_ID, schema.TIMESTAMP]
    return pl.all_horizontal(pl.col(needed + [schema.DOMAIN] * has_domains).is_not_null())


def _missing_checks(config: PrepareConfig) -> list[Check]:
    checks = []
    for column in (schema.USER_ID, schema.ITEM_ID):
        code, message = f"{column.removesuffix('_id')}_missing", f"rows without {column}; rejected"
        is_null = pl.col(column).is_null()
        checks.append(Check("warning", code, column, is_null, message, _RENAME.format(column)))
    domain = pl.col(schema.DOMAIN).is_null()
    message = "rows of which neither log nor catalog knows the domain; rejected"
    remedy = "give the items a `domain` column, or map one in `interactions.columns`"
    checks.append(Check("warning", "domain_missing", schema.DOMAIN, domain, message, remedy))
    if config.interactions.order == "time":
        time = pl.col(schema.TIMESTAMP).is_null()
        message = "times that cannot be read; their rows are rejected"
        remedy = _RENAME.format(schema.TIMESTAMP) + ", set `interactions.time_unit`"
        checks.append(Check("warning", "time_unreadable", schema.TIMESTAMP, time, message, remedy))
    return checks


def _time_checks(now: int) -> list[Check]:
    time = pl.col(schema.TIMESTAMP)
    unit = "set `interactions.time_unit`, correct them, or drop them: "
    return [
        Check(
            "warning",
            "time_future",
            schema.TIMESTAMP,
            time > now,
            "times in the future",
            unit + f"`clean.filters: [timestamp <= {now}]`",
        ),
        Check(
            "info",
            "time_early",
            schema.TIMESTAMP,
            time < EARLY,
            "times before 1990",
            unit + "`clean.since`; or keep them, if only their order means something",
        ),
    ]


def _id_checks(*, is_hashed: bool) -> list[Check]:
    checks = []
    for column in (schema.USER_ID, schema.ITEM_ID):
        name = column.removesuffix("_id")
        is_placeholder = pl.col(column).str.to_lowercase().is_in(PLACEHOLDERS)
        message = f"{column} that stands for no {name}"
        remedy = f"leave the field empty, or drop them: `clean.filters: [{column} <> 'VALUE']`"
        checks.append(Check("warning", "placeholder_id", column, is_placeholder, message, remedy))
    if is_hashed:
        return checks
    is_email = contact_in(pl.col(schema.USER_ID), "email")
    message, remedy = "user ids that are e-mail addresses", "hash them: `anonymize.users: true`"
    checks.append(Check("warning", "email_as_id", schema.USER_ID, is_email, message, remedy))
    return checks


def _rating_check() -> Check:
    rating = pl.col(schema.RATING)
    return Check(
        "info",
        "rating_missing",
        schema.RATING,
        rating.is_null() | ~rating.is_finite(),
        "rows whose rating is no number, beside others that have one",
        "nothing, if they are other events; or drop them: `clean.filters: [rating IS NOT NULL]`",
    )


def _weight_check() -> Check:
    weight = pl.col(schema.WEIGHT)
    return Check(
        "warning",
        "weight_unusable",
        schema.WEIGHT,
        (weight < 0) | ~weight.is_finite(),
        "weights that are negative or no number",
        "correct them, or drop the rows: `clean.filters: [weight >= 0]`",
    )
