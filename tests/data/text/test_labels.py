"""Labels of logs written out by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples, target_choices, training_choices
from xrec_lightning.data.text.labels import (
    DislikedItems,
    LabelConfig,
    event_ratings,
    refuse_bad_labels,
)
from xrec_lightning.data.text.negatives import MatchedNegatives, add_negatives

HEADER = "user_id,item_id,domain,timestamp,event,rating\n"
LOG = HEADER + (
    "u,a,x,1,view,\nu,b,x,2,buy,4\nu,c,y,3,view,5\nu,d,y,4,buy,1\nu,e,x,5,buy,5\nu,f,x,6,view,\n"
)
ITEMS = "item_id,domain,title\n" + "".join(
    f"{item},{domain},{title}\n"
    for item, domain, title in zip("abcdefghij", "xxyyxxxyxx", [*"ABCDEFGHI", ""], strict=True)
)
NO = "u,g,x,2,hide,\nu,h,y,2,hide,\nu,j,x,1,hide,\nu,b,x,1,hide,\n"
"""Dislikes of g in x, of h in y, of j, which has no text, and of b, which was bought later."""

MakePrepared = Callable[..., Prepared]


@pytest.fixture
def make_prepared(tmp_path: Path) -> MakePrepared:
    """Return a function of the log's text that gives its prepared data."""

    def make(log: str = LOG, more: str = "") -> Prepared:
        (tmp_path / "log.csv").write_text(log)
        (tmp_path / "items.csv").write_text(ITEMS)
        (tmp_path / "data.yaml").write_text(
            f"interactions: {{path: {tmp_path}/log.csv}}\n"
            f"items: {{path: {tmp_path}/items.csv, title: title, text: [title]}}\n"
            f"output: {tmp_path}/prepared\n{more}"
        )
        return Prepared.open(prepare(load_config(tmp_path / "data.yaml")))

    return make


def chosen_items(prepared: Prepared, labels: LabelConfig) -> tuple[list[str], list[str], list[str]]:
    """Return the raw ids of the choices of training, of validation and of test."""
    is_user = np.ones(len(prepared.users()) + 1, dtype=bool)
    raw = ["", *prepared.items()["item_id"]]
    train = training_choices(prepared, is_user, labels)
    val = target_choices(prepared, "val", is_user, labels)
    test = target_choices(prepared, "test", is_user, labels)
    return tuple([raw[item] for item in each.item_ids] for each in (train, val, test))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LabelConfig(), (["b", "c", "d"], ["e"], ["f"])),
        (LabelConfig(positive_events=["buy"]), (["b", "d"], ["e"], [])),
        (LabelConfig(positive_events=["view"]), (["c"], [], ["f"])),
        (LabelConfig(positive_events=["view", "buy"]), (["b", "c", "d"], ["e"], ["f"])),
        (LabelConfig(min_rating=4), (["b", "c"], ["e"], [])),
        (LabelConfig(positive_events=["buy"], min_rating=4), (["b"], ["e"], [])),
        (LabelConfig(answer="rating"), (["b", "c", "d"], ["e"], [])),
        (LabelConfig(answer="rating", positive_events=["buy"]), (["b", "d"], ["e"], [])),
        (LabelConfig(min_rating=6), ([], [], [])),
    ],
)
def test_choices_are_events_of_the_kinds_and_ratings_asked_for(
    make_prepared: MakePrepared, labels: LabelConfig, expected: tuple[list[str], ...]
) -> None:
    assert chosen_items(make_prepared(), labels) == expected


def test_ratings_are_answers(make_prepared: MakePrepared) -> None:
    prepared, everyone = make_prepared(), np.array([False, True])
    labels = LabelConfig(answer="rating")
    assert training_choices(prepared, everyone, labels).labels.tolist() == [4, 5, 1]
    assert target_choices(prepared, "val", everyone, labels).labels.tolist() == [5]
    expected = [np.nan, 4, 5, 1, 5, np.nan]
    np.testing.assert_array_equal(event_ratings(prepared), np.array(expected, dtype=np.float32))


def test_fewer_dislikes_are_the_first_of_more(make_prepared: MakePrepared) -> None:
    prepared = make_prepared(LOG + NO + "u,i,x,1,hide,\n", "events: {dislikes: [hide]}\n")
    disliked, ones = DislikedItems(prepared, 0.5), np.ones(40, dtype=np.int64)
    some = disliked.mix_into(ones[:8], ones[:8], ones[:8], 0)
    assert some.tolist() == disliked.mix_into(ones, ones, ones, 0)[:8].tolist()


def test_ratings_that_no_event_has_are_refused(make_prepared: MakePrepared) -> None:
    rows = LOG.splitlines()[1:]
    blank = make_prepared(HEADER + "".join(f"{row.rpartition(',')[0]},\n" for row in rows))
    with pytest.raises(InputError, match=r"labels\.answer: rating: .*no event .* has a rating"):
        refuse_bad_labels(blank, LabelConfig(answer="rating"))


def test_histories_hold_all_events(make_prepared: MakePrepared) -> None:
    prepared = make_prepared()
    buys = LabelConfig(positive_events=["buy"])
    choices = training_choices(prepared, np.array([False, True]), buys)
    assert choices.history_starts.tolist() == [0, 0]
    assert choices.history_ends.tolist() == [1, 3]  # before b: a; before d: a, b, c


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            LabelConfig(positive_events=["buy", "viev"]),
            r"labels\.positive_events: viev: no event of the log .* did you mean `view`\?",
        ),
        (LabelConfig(dislike_share=1.5), r"labels\.dislike_share: 1\.5 is not in \[0, 1\]"),
        (LabelConfig(dislike_share=0.5), r"dislike_share: 0\.5: .* has no dislikes; .*`events"),
    ],
)
def test_labels_that_the_data_lack_are_refused(
    make_prepared: MakePrepared, labels: LabelConfig, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        refuse_bad_labels(make_prepared(), labels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LabelConfig(positive_events=["buy"]), r"positive_events: \['buy'\]: .*no column `event`"),
        (LabelConfig(answer="rating"), r"answer: rating: .*no column `rating`"),
        (LabelConfig(min_rating=4), r"min_rating: 4: .*no column `rating`.*interactions\.columns"),
    ],
)
def test_a_log_without_the_column_is_refused(
    make_prepared: MakePrepared, labels: LabelConfig, words: str
) -> None:
    log = "\n".join(line.rsplit(",", 2)[0] for line in LOG.splitlines())
    prepared = make_prepared(log)
    refuse_bad_labels(prepared, LabelConfig())
    with pytest.raises(InputError, match=words):
        refuse_bad_labels(prepared, labels)


@pytest.fixture
def disliking(make_prepared: MakePrepared) -> Prepared:
    """The log with dislikes."""
    return make_prepared(LOG + NO, "events: {dislikes: [hide]}\n")


def test_negatives_are_dislikes_of_the_domain_never_taken_and_with_text(
    disliking: Prepared,
) -> None:
    refuse_bad_labels(disliking, LabelConfig(dislike_share=1))
    raw = ["", *disliking.items()["item_id"]]
    g, h = raw.index("g"), raw.index("h")
    negatives, users = np.array([90, 91, 92]), np.array([1, 1, 1])
    domains = np.array([1, 2, 1])
    for seed in range(5):
        mixed = DislikedItems(disliking, 1.0).mix_into(negatives, users, domains, seed)
        assert mixed.tolist() == [g, h, g]
        kept = DislikedItems(disliking, 0.0).mix_into(negatives, users, domains, seed)
        assert kept.tolist() == negatives.tolist()


def test_who_disliked_nothing_keeps_the_matched_negatives(make_prepared: MakePrepared) -> None:
    others = "".join(
        f"{user},{item},x,{time},buy,\n" for user in "tv" for time, item in enumerate("abe")
    )
    prepared = make_prepared(LOG + others + NO, "events: {dislikes: [hide]}\n")
    users = prepared.users()["user_id"].to_list()
    negatives = np.array([90, 91, 92])
    mixed = DislikedItems(prepared, 1.0).mix_into(
        negatives, np.array([users.index(user) + 1 for user in "tuv"]), np.array([1, 1, 1]), 0
    )
    raw = ["", *prepared.items()["item_id"]]
    assert mixed.tolist() == [90, raw.index("g"), 92]


def test_every_dislike_is_drawn_and_the_share_is_kept(make_prepared: MakePrepared) -> None:
    prepared = make_prepared(LOG + NO + "u,i,x,1,hide,\n", "events: {dislikes: [hide]}\n")
    raw = ["", *prepared.items()["item_id"]]
    ones = np.ones(4000, dtype=np.int64)
    mixed = DislikedItems(prepared, 0.5).mix_into(ones * 90, ones, ones, 0)
    counts = {item: int((mixed == item).sum()) for item in np.unique(mixed).tolist()}
    assert set(counts) == {90, raw.index("g"), raw.index("i")}
    # Four standard deviations of 4000 throws: 126 of a half, 110 of a quarter.
    assert counts[90] == pytest.approx(2000, abs=126)
    assert counts[raw.index("g")] == pytest.approx(1000, abs=110)


def test_examples_keep_their_positives(disliking: Prepared) -> None:
    everyone = np.ones(len(disliking.users()) + 1, dtype=bool)
    choices: Examples = training_choices(disliking, everyone)
    matched = MatchedNegatives(disliking)
    plain = add_negatives(choices, matched, seed=0)
    mixed = add_negatives(choices, matched, seed=0, disliked=DislikedItems(disliking, 1.0))
    untouched = add_negatives(choices, matched, seed=0, disliked=DislikedItems(disliking, 0.0))
    raw = ["", *disliking.items()["item_id"]]
    assert [raw[item] for item in mixed.item_ids] == ["b", "g", "c", "h", "d", "h"]
    assert mixed.labels.tolist() == [1, 0] * 3
    for name in plain._fields:
        assert getattr(untouched, name).tolist() == getattr(plain, name).tolist()
        if name != "item_ids":
            assert getattr(mixed, name).tolist() == getattr(plain, name).tolist()
