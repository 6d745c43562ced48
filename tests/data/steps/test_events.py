from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from xrec_lightning.data.config.steps import EventsConfig
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps.clean import part
from xrec_lightning.data.steps.cold import Cold
from xrec_lightning.data.steps.events import (
    BAD_WEIGHT,
    drop_nans,
    event_names,
    flag_bad_weights,
    part_dislikes,
    refuse_bad_events,
    training_dislikes,
    weigh_events,
)
from xrec_lightning.data.steps.order import add_order

MakeEvents = Callable[..., pl.DataFrame]
NAN = float("nan")


def test_no_number_is_null(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 1), (0, 2, 2)], rating=[NAN, 3], weight=[2, NAN])
    log = drop_nans(log)
    assert log["rating"].to_list() == [None, 3]
    assert log["weight"].to_list() == [2, None]
    assert drop_nans(log.drop("rating", "weight")).equals(log.drop("rating", "weight"))


def test_weights_that_cannot_train_are_dropped(make_events: MakeEvents) -> None:
    log = make_events([(0, item, 1) for item in range(5)], weight=[0, -1, None, float("inf"), 2])
    kept, rejected = part(flag_bad_weights(log))
    assert kept["row"].to_list() == [0, 2, 4]
    assert rejected["reason"].to_list() == [BAD_WEIGHT] * 2
    assert flag_bad_weights(log.drop("weight"))["reason"].null_count() == 5


def test_the_weight_is_that_of_the_kind_times_that_of_the_row(make_events: MakeEvents) -> None:
    rows = [(0, item, 1) for item in range(4)]
    log = make_events(rows, event=["buy", "view", None, "cart"], weight=[2, 2, 3, None])
    config = EventsConfig(weights={"buy": 3, "view": 0.5})
    assert weigh_events(log, config)["weight"].to_list() == [6, 1, 3, 1]
    assert weigh_events(log.drop("weight"), config)["weight"].to_list() == [3, 0.5, 1, 1]
    assert weigh_events(log, EventsConfig())["weight"].to_list() == [2, 2, 3, 1]
    assert "weight" not in weigh_events(log.drop("weight"), EventsConfig()).columns
    assert weigh_events(log, config).schema["weight"] == pl.Float32


def test_dislikes_are_parted_by_kind_and_by_rating(make_events: MakeEvents) -> None:
    rows = [(0, item, 1) for item in range(5)]
    log = make_events(rows, event=["dislike", "buy", None, "buy", "buy"], rating=[5, 1, 1, None, 2])
    liked, dislikes = part_dislikes(log, EventsConfig(dislikes=["dislike"], dislike_below=2))
    assert (liked["row"].to_list(), dislikes["row"].to_list()) == ([3, 4], [0, 1, 2])
    _, dislikes = part_dislikes(log, EventsConfig(dislikes=["dislike"]))
    assert dislikes["row"].to_list() == [0]
    liked, dislikes = part_dislikes(log, EventsConfig())
    assert (len(liked), len(dislikes), dislikes.columns) == (5, 0, log.columns)


def test_dislikes_train_only_before_what_is_predicted(make_events: MakeEvents) -> None:
    # User 0 validates at 20, user 1 has training only, user 2 no training, 3 no events.
    events = make_events([(0, 1, 10), (0, 2, 20), (0, 3, 30), (1, 1, 10), (2, 1, 10), (2, 2, 20)])
    splits = ["train", "val", "test", "train", "history", "test"]
    events = add_order(events, "shuffle").with_columns(pl.Series("split", splits))
    dislikes = [
        (0, 9, 19),
        (0, 8, 20),
        (0, 7, 25),
        (1, 8, 99),
        (1, 5, 5),
        (1, 5, 6),
        (2, 9, 5),
        (3, 9, 5),
    ]
    dislikes = add_order(make_events(dislikes), "shuffle")
    expected = [(0, 9), (1, 5), (1, 8)]
    assert training_dislikes(dislikes, events).rows() == expected
    assert training_dislikes(dislikes.reverse(), events.reverse()).rows() == expected
    assert training_dislikes(dislikes, events, before=50).rows() == expected[:2]
    assert training_dislikes(dislikes, events.clear()).rows() == []


def test_dislikes_of_what_is_hidden_do_not_train(make_events: MakeEvents) -> None:
    events = add_order(make_events([(0, 1, 10), (1, 1, 10)]), "shuffle")
    events = events.with_columns(pl.lit("train").alias("split"))
    dislikes = add_order(make_events([(u, i, 5) for u in (0, 1) for i in (2, 3, 4)]), "shuffle")
    cold = Cold(np.arange(5) == 2, np.zeros(2, bool), np.array([True, False]), domain=1)
    assert training_dislikes(dislikes, events, cold).rows() == [(0, 4), (1, 3), (1, 4)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (EventsConfig(weights={"by": 2}), r"events.weights: by: .*did you mean `buy`\?"),
        (EventsConfig(dislikes=["hate"]), r"events.dislikes: hate: .*valid: buy, view"),
        (EventsConfig(weights={"buy": -1}), r"events.weights: buy: -1 is no weight"),
        (EventsConfig(weights={"buy": NAN}), r"events.weights: buy: nan is no weight"),
        (EventsConfig(dislike_below=2), r"events.dislike_below: 2: .*column `rating`"),
    ],
)
def test_what_the_log_does_not_have_is_refused(config: EventsConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_bad_events(config, {"buy", "view"}, {"event"})


def test_kinds_of_events_need_their_column() -> None:
    with pytest.raises(InputError, match=r"events.dislikes: no: .*column `event`"):
        refuse_bad_events(EventsConfig(dislikes=["no"]), set(), {"rating"})
    refuse_bad_events(EventsConfig(), set(), set())
    refuse_bad_events(
        EventsConfig(weights={"buy": 0}, dislike_below=1), {"buy"}, {"event", "rating"}
    )


def test_kinds_are_those_that_occur(make_events: MakeEvents) -> None:
    log = make_events([(0, 1, 1), (0, 2, 1), (0, 3, 1)], event=["buy", None, "view"])
    assert event_names(log) == {"buy", "view"}
    assert event_names(log.drop("event")) == set()
