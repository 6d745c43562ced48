from pathlib import Path

import numpy as np
import polars as pl
import pytest
from jsonargparse import ArgumentParser

from xrec_lightning.batches import JointPromptBatch, PromptBatch
from xrec_lightning.data.config.load import load_config
from xrec_lightning.data.datamodules.instruction import InstructionDataModule
from xrec_lightning.data.datamodules.prompt_set import PromptSet
from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import prepare
from xrec_lightning.data.text.labels import LabelConfig
from xrec_lightning.data.text.prompts import RelatedTitles
from xrec_lightning.data.text.templates import PromptConfig
from xrec_lightning.data.text.tokenize import load_tokenizer


@pytest.fixture
def datamodule(tiny_dataset: Path, tiny_language: str) -> InstructionDataModule:
    datamodule = InstructionDataModule(
        tiny_dataset,
        tiny_language,
        batch_size=6,
        train_prompts=40,
        eval_prompts=100,
        held_out=0.3,
    )
    datamodule.setup("fit")
    return datamodule


def test_users_of_the_splits_are_disjoint_and_labels_balanced(
    datamodule: InstructionDataModule,
) -> None:
    loaders = (
        datamodule.train_dataloader(),
        datamodule.val_dataloader(),
        datamodule.test_dataloader(),
    )
    users = []
    for loader in loaders:
        batches = list(loader)
        users.append({int(user) for batch in batches for user in batch.user_ids})
        labels = np.concatenate([batch.labels.numpy() for batch in batches])
        assert labels.mean() == 0.5
    assert all(users)
    assert sum(map(len, users)) == len(set.union(*users))
    assert len(datamodule.train_set) == 20
    assert len(datamodule.train_set.examples.labels) == 40


def test_a_prompt_is_the_related_history_and_the_candidate(
    datamodule: InstructionDataModule, tiny_language: str
) -> None:
    examples, batch = datamodule.train_set.examples, datamodule.train_set.__getitems__(range(5))
    assert isinstance(batch, PromptBatch)
    names = ["", *datamodule.prepared.items()["title"].fill_null("")]
    related = RelatedTitles(names)
    tokenizer = load_tokenizer(tiny_language)
    for row in range(10):
        item = int(examples.item_ids[row])
        visible = slice(examples.history_starts[row], examples.history_ends[row])
        history = np.asarray(datamodule.prepared.item_ids[visible])
        titles = [names[history[at]] for at in related.choose(history, item, 2)]
        for text, expected in (
            (batch.history, "; ".join(titles) or "none"),
            (batch.candidate, names[item]),
        ):
            ids = text.token_ids[row][text.attention_mask[row]]
            assert ids.tolist() == tokenizer(expected)["input_ids"]


def test_evaluated_choices_are_the_targets_of_their_users(
    datamodule: InstructionDataModule,
) -> None:
    targets = datamodule.prepared.targets("test").select("user_index", "item_index").rows()
    examples = datamodule.test_set.examples
    positives = zip(examples.user_ids[::2].tolist(), examples.item_ids[::2].tolist(), strict=True)
    assert set(positives) <= set(targets)


EVENTS = ("view", "buy", "buy")


@pytest.fixture
def labeled_dataset(tiny_dataset: Path, tmp_path: Path) -> Path:
    """The tiny log with kinds of events, and every user's dislike of one item of each domain."""
    log = pl.read_csv(tiny_dataset.parent / "log.csv")
    log = log.with_columns(event=pl.Series([EVENTS[row % 3] for row in range(len(log))]))
    pairs = set(log.select("user_id", "item_id").iter_rows())
    disliked = [
        (user, next(item for item in items if (user, item) not in pairs), domain, 0, "hide")
        for user in sorted(set(log["user_id"]))
        for domain, items in (
            ("tea", [f"i{item:02}" for item in range(15)]),
            ("pots", [f"i{item:02}" for item in range(15, 29)]),
        )
    ]
    rows = pl.DataFrame(disliked, schema=log.schema, orient="row")
    pl.concat([log, rows]).write_csv(tmp_path / "log.csv")
    path = tmp_path / "data.yaml"
    path.write_text(
        f"interactions: {{path: {tmp_path}/log.csv}}\n"
        f"items: {{path: {tiny_dataset.parent}/items.csv, title: title, text: [title]}}\n"
        f"output: {tmp_path}/prepared\nevents: {{dislikes: [hide]}}\n"
    )
    prepare(load_config(path))
    return path


def test_labels_decide_positives_and_negatives(labeled_dataset: Path, tiny_language: str) -> None:
    labels = LabelConfig(positive_events=["buy"], dislike_share=1.0)
    datamodule = InstructionDataModule(labeled_dataset, tiny_language, held_out=0.3, labels=labels)
    datamodule.setup("fit")
    prepared = datamodule.prepared
    log = prepared.interactions().collect()
    bought = set(log.filter(event="buy").select("user_index", "item_index").iter_rows())
    offsets, items = prepared.dislikes
    disliked = {
        (user, int(item))
        for user in range(1, len(offsets))
        for item in items[offsets[user - 1] : offsets[user]]
    }
    train, test = pairs_of(datamodule.train_set), pairs_of(datamodule.test_set)
    assert set(train[::2]) | set(test[::2]) <= bought
    assert len(set(train[1::2])) > 10
    assert set(train[1::2]) <= disliked
    # Evaluation is that of a model that was taught no dislikes.
    plain = InstructionDataModule(
        labeled_dataset, tiny_language, held_out=0.3, labels=LabelConfig(positive_events=["buy"])
    )
    plain.setup("fit")
    assert test
    assert pairs_of(plain.test_set) == test
    assert pairs_of(plain.train_set)[::2] == train[::2]


def pairs_of(prompts: PromptSet) -> list[tuple[int, int]]:
    examples = prompts.examples
    return list(zip(examples.user_ids.tolist(), examples.item_ids.tolist(), strict=True))


def test_labels_without_a_choice_are_refused(labeled_dataset: Path, tiny_language: str) -> None:
    datamodule = InstructionDataModule(
        labeled_dataset, tiny_language, labels=LabelConfig(positive_events=[])
    )
    with pytest.raises(InputError, match=r"labels: .*no training event of .* is a choice"):
        datamodule.setup("fit")
    with pytest.raises(InputError, match=r"positive_events: bye: .*did you mean `buy`"):
        InstructionDataModule(
            labeled_dataset, tiny_language, labels=LabelConfig(positive_events=["bye"])
        )


TEMPLATE = "had {history}; wants {candidate}"


def test_a_template_gives_joint_prompts_and_an_example_for_people(
    tiny_dataset: Path, tiny_language: str, caplog: pytest.LogCaptureFixture
) -> None:
    prompt = PromptConfig(template=TEMPLATE)
    datamodule = InstructionDataModule(tiny_dataset, tiny_language, prompt, held_out=0.3)
    assert datamodule.catalog.prompt_texts == 1
    with caplog.at_level("INFO", "xrec_lightning"):
        datamodule.setup("fit")
    assert datamodule.example() in caplog.text
    said, answer = datamodule.example().split("\n")
    assert answer == "answer: 1"
    for loader in (datamodule.train_dataloader(), datamodule.test_dataloader()):
        assert all(isinstance(batch, JointPromptBatch) for batch in loader)
    first = datamodule.train_set.__getitems__([0])
    tokenizer = load_tokenizer(tiny_language)
    ids = first.prompt.token_ids[0][first.prompt.attention_mask[0]]
    assert ids.tolist() == tokenizer(said)["input_ids"]
    again = InstructionDataModule(tiny_dataset, tiny_language, prompt, held_out=0.3)
    assert again.example() == datamodule.example()


def test_shots_are_exact_balanced_nested_and_leave_evaluation_alone(
    tiny_dataset: Path, tiny_language: str, datamodule: InstructionDataModule
) -> None:
    found = {}
    for shots in (4, 8, 16):
        few = InstructionDataModule(
            tiny_dataset, tiny_language, shots=shots, held_out=0.3, eval_prompts=100
        )
        few.setup("fit")
        examples = few.train_set.examples
        assert len(examples.labels) == shots
        assert examples.labels.mean() == 0.5
        assert pairs_of(few.test_set) == pairs_of(datamodule.test_set)
        evaluated = {*few.test_set.examples.user_ids, *few.val_set.examples.user_ids}
        assert not evaluated & set(examples.user_ids)
        found[shots] = pairs_of(few.train_set)
    assert found[16][:8] == found[8]
    assert found[8][:4] == found[4]


def test_every_choice_has_its_negatives_in_its_batch(
    tiny_dataset: Path, tiny_language: str
) -> None:
    datamodule = InstructionDataModule(
        tiny_dataset, tiny_language, negatives=3, batch_size=9, held_out=0.3
    )
    datamodule.setup("fit")
    for batch in datamodule.train_dataloader():
        assert len(batch.labels) <= 9
        assert batch.labels.tolist() == [1, 0, 0, 0] * (len(batch.labels) // 4)
        groups = batch.group_ids.view(-1, 4)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0].tolist())) == len(groups)


def test_ratings_are_asked_for_without_negatives(rated_dataset: Path, tiny_language: str) -> None:
    datamodule = InstructionDataModule(
        rated_dataset, tiny_language, labels=LabelConfig(answer="rating"), held_out=0.3
    )
    datamodule.setup("fit")
    assert datamodule.catalog.ratings is not None
    batch = next(iter(datamodule.train_dataloader()))
    rated = {
        (user, item): rating
        for user, item, rating in datamodule.prepared.interactions()
        .select("user_index", "item_index", "rating")
        .collect()
        .iter_rows()
    }
    rows = zip(batch.user_ids.tolist(), batch.item_ids.tolist(), strict=True)
    assert [rated[row] for row in rows] == batch.labels.tolist()
    assert len(set(batch.group_ids.tolist())) == len(batch.labels)
    assert batch.references is None
    assert all(each.references is not None for each in datamodule.test_dataloader())


def test_text_knn_is_at_hand_where_there_is_a_store(
    tiny_dataset: Path, tiny_language: str, tiny_store: Path
) -> None:
    datamodule = InstructionDataModule(
        tiny_dataset, tiny_language, knowledge=tiny_store, held_out=0.3
    )
    datamodule.setup("test")
    (batch,) = datamodule.test_dataloader()
    assert batch.references.shape == (len(batch.labels), len(datamodule.catalog.references))
    assert batch.references.abs().max() <= 1.001
    assert len(set(batch.references[:, 0].tolist())) > 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shots": 9}, r"shots: 9 with 1 negatives .* an even number of shots and 1 negative"),
        ({"shots": 8, "negatives": 3}, r"shots: 8 with 3 negatives"),
        ({"shots": 0}, r"shots: 0 with 1 negatives"),
        ({"negatives": 0}, r"negatives: 0: a choice is told from at least one"),
        ({"shots": 4096}, r"shots: 4096: the data give \d+ training prompts; ask for fewer"),
        ({"negatives": 99}, r"negatives: 99: no user has left so many items .* `match_width`"),
        ({"prompt": PromptConfig(template="{history}?")}, r"prompt\.template: .* never says the"),
        ({"labels": LabelConfig(answer="rating")}, r"labels\.answer: rating: .*no column `rating`"),
    ],
)
def test_what_the_data_cannot_give_is_refused(
    tiny_dataset: Path, tiny_language: str, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        InstructionDataModule(tiny_dataset, tiny_language, **arguments).setup("fit")


def test_labels_are_read_from_a_config(tiny_dataset: Path, tiny_language: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(InstructionDataModule, "data")
    name = f"{InstructionDataModule.__module__}.{InstructionDataModule.__qualname__}"
    arguments = {"dataset": str(tiny_dataset), "model": tiny_language}
    labels = {"positive_events": ["buy"], "dislike_share": 0.5}
    content = {"class_path": name, "init_args": {**arguments, "labels": labels}}
    parsed = parser.parse_object({"data": content}).data.init_args.labels
    assert parsed.as_dict() == {"answer": "choice", "min_rating": None, **labels}
