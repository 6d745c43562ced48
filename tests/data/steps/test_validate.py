from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from xrec_lightning import schema
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps import validate
from xrec_lightning.data.steps.manifest import ShardCounts

MakeEvents = Callable[..., pl.DataFrame]


def test_missing_domains_come_from_the_catalog(make_events: MakeEvents) -> None:
    log = make_events([(1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 3, 4)], domains=[2, None, None, 1])
    of_items = np.array([0, 5, 4, 0], dtype=np.int32)
    filled = validate.fill_domains(log, of_items)
    assert filled["domain_index"].to_list() == [2, 4, None, 1]
    assert validate.fill_domains(log, np.zeros(4, np.int32)).equals(log)


def test_the_only_domain_has_no_reserved_name() -> None:
    validate.refuse_domain_names([validate.ONLY_DOMAIN])


def test_first_missing_value_is_the_reason(make_events: MakeEvents) -> None:
    rows = [(None, None, 1), (1, None, 1), (1, 1, None), (1, 1, 3), (1, 1, 4)]
    log = make_events(rows, domains=[1, 1, 1, None, 1])
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


def test_a_log_rejected_as_a_whole_names_the_first_row() -> None:
    row = {"source": "log.csv", "row": 3, "reason": validate.NO_TIME, "value": "soon"}
    rejected = pl.DataFrame([{**row, "row": 7}, row])
    with pytest.raises(InputError, match=r"row 3 of log\.csv: timestamp cannot be read.*'soon'"):
        validate.refuse_no_interactions(0, rejected, {"log.csv": 9})
    with pytest.raises(InputError, match=r"a\.csv, b\.csv: no rows; give `interactions\.path`"):
        validate.refuse_no_interactions(0, rejected.clear(), {"a.csv": 0, "b.csv": 0})
    with pytest.raises(InputError, match=r"log\.csv: all 9 .*are dislikes.*`events\.dislikes`"):
        validate.refuse_no_interactions(0, rejected.clear(), {"log.csv": 9})
    validate.refuse_no_interactions(1, rejected, {"log.csv": 9})


@pytest.mark.parametrize("empty", [schema.TRAIN, schema.VAL, schema.TEST])
def test_an_empty_part_of_the_split_names_the_remedy(empty: str) -> None:
    nothing = np.zeros(1, dtype=np.int64)
    splits = {schema.TRAIN: int(empty != schema.TRAIN)}
    targets = {name: nothing + int(empty != name) for name in (schema.VAL, schema.TEST)}
    counts = ShardCounts(splits, nothing, nothing, nothing, nothing, targets, 0, 0)
    with pytest.raises(InputError, match=rf"no {empty} .*{empty}: 0.*split\.method"):
        validate.refuse_empty_splits([counts, counts])


def test_a_core_that_drops_everything_is_refused() -> None:
    with pytest.raises(InputError, match=r"clean\.k_core: 9"):
        validate.refuse_empty_core(0, 9)
    validate.refuse_empty_core(1, 9)
