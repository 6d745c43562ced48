"""A real datamodule and a real, untrained fusion model over a small shop with repeated texts."""

from pathlib import Path

import polars as pl
import pytest
import torch

from xrec_lightning.data.config.load import PrepareConfig
from xrec_lightning.data.config.tables import InteractionsConfig, ItemsConfig
from xrec_lightning.data.datamodules.behavior import BehaviorDataModule
from xrec_lightning.data.prepare import prepare
from xrec_lightning.inference.recommender import COLUMNS, Recommender, recommend
from xrec_lightning.models.channels.knowledge import KnowledgeChannelConfig
from xrec_lightning.models.channels.sequence import SequenceChannelConfig
from xrec_lightning.models.sequence.sasrec import SASRecConfig
from xrec_lightning.modules.fusion import FusionRecommender

NUM_ITEMS = 60
NUM_USERS = 12


def item_domain(item: int) -> str:
    return "grocery" if item < 40 else "kitchen"


def item_title(item: int) -> str:
    """Items 0 to 29 of grocery share three titles; all others have their own."""
    return f"soup {item % 3}" if item < 30 else f"thing {item}"


@pytest.fixture(scope="module")
def datamodule(tmp_path_factory: pytest.TempPathFactory) -> BehaviorDataModule:
    folder = tmp_path_factory.mktemp("shop")
    events = [
        (f"u{user}", f"i{item}", item_domain(item), 1000 + 100 * step)
        for user in range(NUM_USERS)
        for step, item in enumerate((7 * user + 11 * step) % NUM_ITEMS for step in range(8))
    ]
    columns = ["user_id", "item_id", "domain", "timestamp"]
    pl.DataFrame(events, schema=columns, orient="row").write_parquet(folder / "events.parquet")
    items = range(NUM_ITEMS)
    pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in items],
            "domain": [item_domain(item) for item in items],
            "title": [item_title(item) for item in items],
        }
    ).write_parquet(folder / "items.parquet")
    config = PrepareConfig(
        interactions=InteractionsConfig(path=str(folder / "events.parquet")),
        items=ItemsConfig(path=str(folder / "items.parquet"), title="title", text=["title"]),
        output=str(folder / "prepared"),
    )
    return BehaviorDataModule(prepare(config), eval_batch_size=5)


@pytest.fixture(scope="module")
def module(datamodule: BehaviorDataModule) -> FusionRecommender:
    torch.manual_seed(0)
    num_rows = datamodule.catalog.num_items + 1
    catalog = datamodule.catalog._replace(vectors=torch.randn(num_rows, 8))
    return FusionRecommender(
        catalog,
        [SequenceChannelConfig(encoder=SASRecConfig(embed_dim=8)), KnowledgeChannelConfig(dim=4)],
    )


@pytest.fixture(scope="module")
def lists(module: FusionRecommender, datamodule: BehaviorDataModule) -> pl.DataFrame:
    return pl.concat(Recommender(module, datamodule, top_k=6).lists())


def test_every_user_has_a_list_in_every_domain(lists: pl.DataFrame) -> None:
    assert lists.columns == list(COLUMNS)
    assert lists.select("user_id", "domain").unique().height == 2 * NUM_USERS
    sizes = lists.group_by("user_id", "domain").len()["len"]
    assert sizes.min() == sizes.max() == 6
    ranks = lists.group_by("user_id", "domain", maintain_order=True).agg("rank")["rank"]
    assert all(row.to_list() == [1, 2, 3, 4, 5, 6] for row in ranks)
    is_sorted = lists["score"].diff().fill_null(0).le(0) | lists["rank"].eq(1)
    assert is_sorted.all()


def test_lists_hold_items_of_their_domain_that_are_new_to_the_user(
    lists: pl.DataFrame, datamodule: BehaviorDataModule
) -> None:
    known = datamodule.prepared.interactions().select("user_id", "item_id").collect()
    assert lists.join(known, on=["user_id", "item_id"], how="semi").height == 0
    items = lists["item_id"].str.strip_prefix("i").cast(pl.Int32)
    assert [item_domain(item) for item in items] == lists["domain"].to_list()
    assert [item_title(item) for item in items] == lists["title"].to_list()


def test_no_text_occurs_twice_though_the_best_items_share_theirs(lists: pl.DataFrame) -> None:
    assert not lists.select("user_id", "domain", "title").is_duplicated().any()


def test_a_list_asks_for_more_until_it_is_full(
    module: FusionRecommender, datamodule: BehaviorDataModule
) -> None:
    # Three soups and ten other groceries: a list of twelve must look beyond all the soups.
    lists = pl.concat(Recommender(module, datamodule, top_k=12).lists())
    sizes = lists.filter(pl.col("domain") == "grocery").group_by("user_id").len()
    known = (
        datamodule.prepared.interactions()
        .filter(pl.col("domain") == "grocery")
        .with_columns(pl.col("item_id").str.strip_prefix("i").cast(pl.Int32).alias("item"))
        .filter(pl.col("item") >= 30)
        .group_by("user_id")
        .len("known")
        .collect()
    )
    sizes = sizes.join(known, on="user_id", how="left").with_columns(pl.col("known").fill_null(0))
    # No user has bought all soups of a title, so at most the things bought are missing.
    assert (sizes["len"] == (13 - sizes["known"]).clip(upper_bound=12)).all()


@torch.no_grad()
def test_the_best_item_is_that_of_predict(
    module: FusionRecommender, datamodule: BehaviorDataModule, lists: pl.DataFrame
) -> None:
    batch = datamodule.request_batch(datamodule.requests(["u3"]))
    scored = module.predict_step(batch)
    best = datamodule.raw_item_ids.gather(scored.item_ids[:, 0].numpy() - 1)
    first = lists.filter((pl.col("user_id") == "u3") & (pl.col("rank") == 1))
    assert first["item_id"].to_list() == best.to_list()
    torch.testing.assert_close(torch.tensor(first["score"].to_list()), scored.scores[:, 0])


def test_reasons_name_an_item_of_the_history(
    lists: pl.DataFrame, datamodule: BehaviorDataModule
) -> None:
    assert lists["reason"].null_count() == 0
    known = datamodule.prepared.interactions().collect()
    titles = {
        user: {item_title(int(item[1:])) for item in rows["item_id"]}
        for (user,), rows in known.group_by(["user_id"])
    }
    causes = lists.select("user_id", pl.col("reason").str.extract(r'"(.*)"')).drop_nulls()
    assert causes.height > 0
    for user, title in causes.iter_rows():
        assert title in titles[user]


def test_reasons_can_be_left_out(module: FusionRecommender, datamodule: BehaviorDataModule) -> None:
    rows = next(Recommender(module, datamodule, with_reasons=False).lists())
    assert rows["reason"].null_count() == rows.height


def test_further_steps_run_before_the_best_are_taken(
    module: FusionRecommender, datamodule: BehaviorDataModule
) -> None:
    def drop_soups(items: pl.DataFrame) -> pl.DataFrame:
        return items.filter(~pl.col("title").str.starts_with("soup"))

    rows = pl.concat(Recommender(module, datamodule, top_k=4, steps=[drop_soups]).lists())
    assert not rows["title"].str.starts_with("soup").any()
    assert rows.filter(pl.col("domain") == "grocery").group_by("user_id").len()["len"].min() == 4


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_file_holds_the_lists(
    tmp_path: Path, module: FusionRecommender, datamodule: BehaviorDataModule, suffix: str
) -> None:
    path = tmp_path / "new" / f"lists{suffix}"
    recommender = Recommender(module, datamodule, top_k=3)
    assert recommend(recommender, path, ["u1", "u2"]) == 2 * 2 * 3
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    rows = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    expected = pl.concat(recommender.lists(["u1", "u2"]))
    assert rows.drop("score", "rank").equals(expected.drop("score", "rank"))


def test_bad_requests_are_refused(
    tmp_path: Path, module: FusionRecommender, datamodule: BehaviorDataModule
) -> None:
    recommender = Recommender(module, datamodule)
    with pytest.raises(ValueError, match=r"must end in \.parquet or \.csv"):
        recommend(recommender, tmp_path / "lists.json")
    with pytest.raises(ValueError, match="'nobody'"):
        recommend(recommender, tmp_path / "lists.csv", ["nobody"])
    with pytest.raises(ValueError, match="the list of users is empty"):
        recommend(recommender, tmp_path / "lists.csv", [])
    with pytest.raises(ValueError, match="top_k"):
        Recommender(module, datamodule, top_k=0)
    assert list(tmp_path.iterdir()) == []
