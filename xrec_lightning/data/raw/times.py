"""Times in any usual form -> whole seconds since 1970."""

from typing import Literal

import polars as pl

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_AUTO_FROM = {"ns": 1e17, "us": 1e14, "ms": 1e11}
"""From these magnitudes on `auto` takes a number for that unit: 1e11 s lie in the year 5138."""
_ZONED_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S")
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d")


def to_seconds(column: str, dtype: pl.DataType, unit: TimeUnit = "auto") -> pl.Expr:
    """Return ``column`` as Int64 seconds, null where it cannot be read.

    Args:
        column: Name of the column.
        dtype: Its type: numbers, dates, datetimes, or strings of numbers or ISO dates. Times
            without a zone are taken as UTC.
        unit: Unit of numbers; `auto` tells it by the magnitude of each value.
    """
    raw = pl.col(column)
    if dtype.is_numeric():
        return _numbers_to_seconds(raw, unit)
    if dtype in (pl.Date, pl.Datetime):
        return raw.dt.epoch("s")
    if dtype == pl.String:
        numbers = raw.str.strip_chars().cast(pl.Float64, strict=False)
        return pl.coalesce(_numbers_to_seconds(numbers, unit), *_strings_to_seconds(raw))
    return pl.lit(None, pl.Int64)


def _numbers_to_seconds(raw: pl.Expr, unit: TimeUnit) -> pl.Expr:
    if unit != "auto":
        seconds = raw if unit == "s" else raw / _PER_SECOND[unit]
    else:
        size = raw.cast(pl.Float64).abs()
        seconds = pl.when(size < _AUTO_FROM["ms"]).then(raw)
        for name, least in _AUTO_FROM.items():
            seconds = seconds.when(size >= least).then(raw / _PER_SECOND[name])
    # Values that are no number of seconds (NaN, infinity) do not survive the cast.
    return seconds.cast(pl.Float64).floor().cast(pl.Int64, strict=False)


def _strings_to_seconds(raw: pl.Expr) -> list[pl.Expr]:
    text = raw.str.strip_chars().str.replace("T", " ", literal=True)
    zoned = text.str.replace(r" ?Z$", "+0000").str.replace(r" ?([+-]\d\d):?(\d\d)$", "${1}${2}")
    return [
        *(zoned.str.to_datetime(each, strict=False).dt.epoch("s") for each in _ZONED_FORMATS),
        *(text.str.to_datetime(each, strict=False).dt.epoch("s") for each in _FORMATS),
        *(text.str.to_date(each, strict=False).dt.epoch("s") for each in _DATE_FORMATS),
    ]


def parse_time(value: int | str) -> int | None:
    """Return one time as seconds since 1970, None where it is none.

    Example:
        >>> parse_time("1970-01-02")
        86400
    """
    frame = pl.DataFrame({"time": [value]})
    return frame.select(to_seconds("time", frame.schema["time"])).item()
