import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig
from xrec_lightning.data.config.values import RANGES, refuse_bad_values
from xrec_lightning.data.errors import InputError

CONFIG = PrepareConfig(interactions=InteractionsConfig(path="a.csv"), items=ItemsConfig(path="b"))
YAML = Path("data.yaml")


def settings(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the default settings with values at dotted keys."""
    result = asdict(replace(CONFIG))
    for key, value in changes.items():
        *levels, name = key.split(".")
        level = result
        for each in levels:
            level = level[each]
        assert name in level
        level[name] = value
    return result


def test_defaults_can_be() -> None:
    refuse_bad_values(settings({}), YAML)
    refuse_bad_values(asdict(PrepareConfig(interactions=CONFIG.interactions)), YAML)


@pytest.mark.parametrize("key", [key for key in RANGES if not key.startswith("users")])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_cannot_be(key: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^data\.yaml: {key}: {value} cannot be; give "):
        refuse_bad_values(settings({key: value}), YAML)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": -1}, "seed: -1 cannot be; give a number from 0"),
        ({"seed": 2**63}, "seed: 9223372036854775808 cannot be"),
        ({"split.n": 0}, "split.n: 0 cannot be; give a number from 1"),
        ({"split.n": 2**31}, "split.n: 2147483648 cannot be"),
        ({"clean.k_core": -1}, "clean.k_core: -1 cannot be"),
        ({"split.cold_items": 1.0}, "split.cold_items: 1.0 cannot be; give a share"),
        ({"split.cold_domain_users": 0.0}, "split.cold_domain_users: 0.0 cannot be"),
        ({"split.fold_days": 0.0}, "split.fold_days: 0.0 cannot be; give days above 0"),
        ({"split.fold_days": 1e9}, "split.fold_days: 1000000000.0 cannot be"),
        ({"items.max_words": -1}, "items.max_words: -1 cannot be"),
        ({"split.val_share": 0.5, "split.test_share": 0.5}, "test_share: 1.0 cannot be; give"),
        ({"split.val_share": 0.0, "split.test_share": 0.0}, "test_share: 0.0 cannot be; give"),
        ({"split.val_from": 5}, "split.val_from: 5: .*go together; give both"),
        ({"split.test_from": "2020-01-01"}, "split.test_from: 2020-01-01: .*give both"),
        ({"interactions.path": []}, r"interactions.path: \[\] names no file; give files"),
        ({"items.path": ""}, "items.path: '' names no file"),
        ({"items.tag_separator": ""}, "items.tag_separator: '' separates nothing; give"),
        ({"items.path_separator": ""}, "items.path_separator: '' separates nothing"),
        ({"items.vectors": {"../x": "x.npy"}}, r"items.vectors: '\.\./x' becomes .*; give one of"),
        ({"items.vectors": {"": "x.npy"}}, "items.vectors: '' becomes the name of a file"),
    ],
)
def test_bad_values_name_file_key_value_and_remedy(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"^data\.yaml: .*{words}"):
        refuse_bad_values(settings(changes), YAML)


def test_the_ends_of_ranges_can_be() -> None:
    ends = {"split.n": 1, "clean.k_core": 2**31 - 1, "seed": 2**63 - 1, "graph.window": 0}
    refuse_bad_values(settings({**ends, "split.cold_domain_users": 1.0}), YAML)
