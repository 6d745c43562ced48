import polars as pl

from xrec_lightning.data.steps.cold import choose_hidden

ITEMS = pl.DataFrame(
    {"item_id": list("abcdefgh"), "text": ["x", None, "x", "x", "x", "x", None, "x"]}
)
LOG = pl.DataFrame({"item_id": list("gfedcba")})


def test_only_items_with_text_and_events_are_hidden() -> None:
    everything = choose_hidden(ITEMS, LOG, 0.99, seed=0)
    assert everything.to_list() == list("acdef")


def test_the_share_is_of_the_items_with_text() -> None:
    assert len(choose_hidden(ITEMS, LOG, 0.4, seed=0)) == 2
    assert len(choose_hidden(ITEMS, LOG, 0.0, seed=0)) == 0


def test_the_seed_decides_whatever_the_order_of_the_log() -> None:
    chosen = [choose_hidden(ITEMS, LOG, 0.4, seed).to_list() for seed in range(20)]
    assert chosen == [
        choose_hidden(ITEMS, LOG.reverse(), 0.4, seed).to_list() for seed in range(20)
    ]
    assert len({tuple(each) for each in chosen}) > 3
    assert {item for each in chosen for item in each} == set("acdef")
