from pathlib import Path

import pytest

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.config.steps import SplitConfig
from xrec_lightning.data.errors import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_yaml_becomes_a_config(tmp_path: Path) -> None:
    text = """
interactions: {path: [a.csv, b.csv], columns: {user_id: uid}, time_unit: ms}
items: {path: items.csv, text: [title], brand: brand}
split: {method: last_n, n: 2, cold_items: 0.1}
clean: {k_core: 5, repeats: keep}
seed: 3
"""
    config = load_config(write(tmp_path, text))
    assert config.interactions.path == ["a.csv", "b.csv"]
    assert config.interactions.columns == {"user_id": "uid"}
    assert config.items is not None
    assert config.items.text == ["title"]
    assert config.users is None
    assert config.split == SplitConfig(method="last_n", n=2, cold_items=0.1)
    assert (config.clean.k_core, config.clean.repeats, config.seed) == (5, "keep", 3)
    assert config.output == "data/prepared"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("interaction: {path: a.csv}", "`interaction`", "`interactions`"),
        ("interactions: {paths: a.csv}", "`interactions.paths`", "`path`"),
        ("interactions: {path: a.csv}\nitems: {path: b, txt: [t]}", "`items.txt`", "`text`"),
        (
            "interactions: {path: a.csv}\nsplit: {cold_item: 0.1}",
            "`split.cold_item`",
            "`cold_items`",
        ),
        (
            "interactions: {path: a.csv, columns: {usr_id: u}}",
            "`interactions.columns.usr_id`",
            "`user_id`",
        ),
    ],
)
def test_unknown_keys_name_file_key_and_nearest(
    tmp_path: Path, text: str, key: str, nearest: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        load_config(path)
    assert str(path) in str(error.value)
    assert key in str(error.value)
    assert f"did you mean {nearest}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("items: {path: a.csv}", "interactions"),
        ("interactions: {path: a.csv}\nseed: many", "seed: Expected a <class 'int'>"),
        ("interactions: {path: a}\nitems: {path: b, text: t}", "items.text: Expected a"),
        ("interactions: {path: a.csv}\nsplit: {method: random}", "method"),
        ("interactions: {path: a.csv}\nsplit: {cold_items: 1.0}", "split.cold_items"),
        ("interactions: {path: a.csv}\nsplit: {n: 0}", "split.n"),
        ("interactions: {path: a.csv}\nsplit: {val_share: 0.6, test_share: 0.4}", "share"),
        ("interactions: {path: a.csv}\nsplit: {val_from: 2020-01-01}", "test_from"),
        ("interactions: {path: a.csv}\nclean: {k_core: -1}", "k_core"),
        ("interactions: {path: []}", "interactions.path"),
        ("- a", "mapping"),
        ("a: [", "YAML"),
    ],
)
def test_bad_values_name_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        load_config(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value) or words == "YAML"


def test_dates_in_yaml_may_be_bare(tmp_path: Path) -> None:
    text = (
        "interactions: {path: a}\nsplit: {method: global_time, val_from: 2020-01-01, test_from: 5}"
    )
    split = load_config(write(tmp_path, text)).split
    assert (split.val_from, split.test_from) == ("2020-01-01", 5)


@pytest.mark.parametrize("path", sorted(Path("configs/data").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_configs_are_short_and_load(path: Path) -> None:
    load_config(path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) <= 15
