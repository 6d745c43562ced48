"""Times in any usual form -> whole seconds since 1970."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import polars as pl

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_AUTO_FROM = {"ns": 10**17, "us": 10**14, "ms": 10**11}
"""From these magnitudes on `auto` takes a number for that unit: 1e11 s lie in the year 5138."""
_ZONED_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S")
_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d")

Reader = Callable[[pl.Series], pl.Series]


def to_seconds(column: str, dtype: pl.DataType, unit: TimeUnit = "auto") -> pl.Expr:
    """Return ``column`` as Int64 seconds, null where it cannot be read.

    Args:
        column: Name of the column.
        dtype: Its type: numbers, dates, datetimes, or strings of numbers or ISO dates. Times
            without a zone are taken as UTC.
        unit: Unit of numbers; `auto` tells it by the magnitude of each value.
    """
    raw = pl.col(column)
    if dtype in (pl.Date, pl.Datetime):
        return raw.dt.epoch("s")
    if dtype in (pl.Categorical, pl.Enum):
        raw, dtype = raw.cast(pl.String), pl.String()
    if dtype.is_numeric():
        read = partial(_numbers_to_seconds, unit=unit)
    elif dtype == pl.String:
        read = partial(_strings_to_seconds, unit=unit)
    else:
        return pl.lit(None, pl.Int64)
    return raw.map_batches(read, return_dtype=pl.Int64, is_elementwise=True)


def _numbers_to_seconds(raw: pl.Series, unit: TimeUnit) -> pl.Series:
    if not raw.dtype.is_integer():
        raw = raw.cast(pl.Float64)
    elif raw.dtype != pl.Int64:
        raw = raw.cast(pl.Int64, strict=False)
    if unit != "auto":
        return _scale(raw, unit)
    size = raw.abs()
    seconds = _scale(raw, "s")
    for name, least in reversed(_AUTO_FROM.items()):
        is_unit = size >= least
        # Nearly always no number is of this unit, and then none is of a finer one.
        if not is_unit.any():
            break
        seconds = _scale(raw, name).zip_with(is_unit, seconds)
    return seconds


def _scale(numbers: pl.Series, unit: str) -> pl.Series:
    """Return the numbers of ``unit`` as whole seconds, rounded down."""
    scaled = numbers if unit == "s" else numbers // _PER_SECOND[unit]
    if scaled.dtype == pl.Int64:
        return scaled
    # Values that are no number of seconds (NaN, infinity) do not survive the cast.
    return scaled.floor().cast(pl.Int64, strict=False)


def _strings_to_seconds(raw: pl.Series, unit: TimeUnit) -> pl.Series:
    """Return the times of texts; each form is tried on those only that no earlier form has read."""
    seconds = _numbers_to_seconds(raw.cast(pl.Int64, strict=False), unit)
    readers: tuple[Reader, ...] = (partial(_floats, unit=unit), *_FORMS)
    for read in readers:
        unread = (seconds.is_null() & raw.is_not_null()).arg_true()
        if unread.is_empty():
            break
        seconds = seconds.scatter(unread, read(raw.gather(unread)))
    return seconds


def _floats(raw: pl.Series, unit: TimeUnit) -> pl.Series:
    return _numbers_to_seconds(raw.str.strip_chars().cast(pl.Float64, strict=False), unit)


def _zoned(raw: pl.Series, form: str) -> pl.Series:
    text = _plain(raw.str.replace(r" ?(Z|UTC|GMT)\s*$", "+0000"))
    text = text.str.replace(r" ?([+-]\d\d):?(\d\d)$", "${1}${2}")
    return text.str.to_datetime(form, strict=False).dt.epoch("s")


def _unzoned(raw: pl.Series, form: str) -> pl.Series:
    return _plain(raw).str.to_datetime(form, strict=False).dt.epoch("s")


def _dates(raw: pl.Series, form: str) -> pl.Series:
    return _plain(raw).str.to_date(form, strict=False).dt.epoch("s")


def _plain(raw: pl.Series) -> pl.Series:
    return raw.str.strip_chars().str.replace("T", " ", literal=True)


_FORMS: tuple[Reader, ...] = (
    *(partial(_unzoned, form=each) for each in _FORMATS),
    *(partial(_dates, form=each) for each in _DATE_FORMATS),
    *(partial(_zoned, form=each) for each in _ZONED_FORMATS),
)


def parse_time(value: int | str) -> int | None:
    """Return one time as seconds since 1970, None where it is none.

    Example:
        >>> parse_time("1970-01-02")
        86400
    """
    frame = pl.DataFrame({"time": [value]})
    return frame.select(to_seconds("time", frame.schema["time"])).item()
