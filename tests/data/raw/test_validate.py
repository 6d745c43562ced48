from collections.abc import Callable

import polars as pl
import pytest

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw import validate

MakeLog = Callable[..., pl.DataFrame]


def test_missing_domains_come_from_the_catalog(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "tea", 1), ("u", "b", None, 2), ("u", "c", None, 3)])
    catalog = pl.LazyFrame({"item_id": ["a", "b", "b"], "domain": ["x", "pots", "cups"]})
    filled = validate.fill_domains(log.lazy(), catalog).collect()
    assert filled["domain"].to_list() == ["tea", "cups", None]


def test_a_catalog_without_domains_changes_nothing(make_log: MakeLog) -> None:
    log = make_log([("u", "a", None, 1)])
    assert validate.fill_domains(log.lazy(), pl.LazyFrame({"item_id": ["a"]})).collect().equals(log)


def test_only_a_log_without_any_domain_gets_a_name(make_log: MakeLog) -> None:
    some = make_log([("u", "a", "tea", 1), ("u", "b", None, 2)])
    assert validate.name_only_domain(some).equals(some)
    none = make_log([("u", "a", None, 1)]).with_columns(pl.lit(None, pl.String).alias("domain"))
    assert validate.name_only_domain(none)["domain"].to_list() == [validate.ONLY_DOMAIN]


def test_the_only_domain_has_no_reserved_name() -> None:
    validate.refuse_domain_names([validate.ONLY_DOMAIN])


def test_first_missing_value_is_the_reason(make_log: MakeLog) -> None:
    log = make_log(
        [
            (None, "a", "d", 1),
            ("u", None, "d", 2),
            ("u", "a", "d", None),
            ("u", "a", None, 3),
            ("u", "a", "d", 4),
        ]
    )
    assert validate.flag_unreadable(log)["reason"].to_list() == [
        validate.NO_USER,
        validate.NO_ITEM,
        validate.NO_TIME,
        validate.NO_DOMAIN,
        None,
    ]


@pytest.mark.parametrize("name", ["warm", "cold", "history_short", "user", "all", "food/tea"])
def test_domains_named_like_slices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}.*rename"):
        validate.refuse_domain_names(["tea", name])


def test_a_log_rejected_as_a_whole_names_the_first_row(make_log: MakeLog) -> None:
    log = make_log([("u", "a", "d", None)]).with_columns(pl.lit("soon").alias("value"))
    flagged = validate.flag_unreadable(log)
    with pytest.raises(InputError, match=r"row 0 of log\.csv: timestamp cannot be read.*'soon'"):
        validate.refuse_no_interactions(flagged.clear(), flagged)
    with pytest.raises(InputError, match="no rows"):
        validate.refuse_no_interactions(flagged.clear(), flagged.clear())
    validate.refuse_no_interactions(flagged, flagged)


@pytest.mark.parametrize("empty", [schema.TRAIN, schema.VAL, schema.TEST])
def test_an_empty_part_of_the_split_names_the_remedy(empty: str) -> None:
    splits = ["unused" if empty == schema.TRAIN else schema.TRAIN]
    events = pl.DataFrame({"split": splits})
    targets = {
        name: pl.DataFrame({"item_index": [] if name == empty else [1]})
        for name in (schema.VAL, schema.TEST)
    }
    with pytest.raises(InputError, match=rf"no {empty} .*{empty}: 0.*split\.method"):
        validate.refuse_empty_splits(events, targets)


def test_a_core_that_drops_everything_is_refused() -> None:
    with pytest.raises(InputError, match=r"clean\.k_core: 9"):
        validate.refuse_empty_core(pl.DataFrame({"a": []}), 9)
    validate.refuse_empty_core(pl.DataFrame({"a": [1]}), 9)
