from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.text.clicks import Examples, target_choices, training_choices
from xrec_lightning.data.text.prompt_texts import PromptTexts
from xrec_lightning.data.text.templates import PromptConfig

JOINT = "had {history}; wants {candidate}"


@pytest.fixture(scope="module")
def prepared(tiny_dataset: Path) -> Prepared:
    return Prepared.open(locate(tiny_dataset))


@pytest.fixture(scope="module")
def choices(prepared: Prepared) -> list[Examples]:
    """The choices of training, of validation and of test."""
    everyone = np.ones(len(prepared.users()) + 1, dtype=bool)
    targets = (target_choices(prepared, split, everyone) for split in ("val", "test"))
    return [training_choices(prepared, everyone), *targets]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    template=st.sampled_from([None, JOINT]),
    choice=st.sampled_from(["related", "newest"]),
    history_items=st.integers(1, 9),
    max_tokens=st.integers(24, 64),
    data=st.data(),
)
def test_a_prompt_says_only_what_is_strictly_earlier_than_its_choice(
    prepared: Prepared,
    choices: list[Examples],
    tiny_language: str,
    template: str | None,
    choice: str,
    history_items: int,
    max_tokens: int,
    data: st.DataObject,
) -> None:
    config = PromptConfig(
        template=template,
        choice=choice,
        history_items=history_items,
        max_tokens=max_tokens,
        separator=" | ",
    )
    texts = PromptTexts(prepared, tiny_language, config, "prompt")
    examples = data.draw(st.sampled_from(choices))
    rows = data.draw(st.lists(st.integers(0, len(examples.labels) - 1), min_size=1, max_size=4))
    examples = examples.select(np.array(rows))
    encoded = texts.encode(examples)
    log = prepared.interactions().collect()
    titles = prepared.items()["title"].to_list()
    for row, (user, item) in enumerate(zip(examples.user_ids, examples.item_ids, strict=True)):
        of_user = log.filter(user_index=int(user))
        times = of_user.filter(item_index=int(item))["timestamp"]
        earlier = of_user.filter(of_user["timestamp"] < times.max())
        allowed = [titles[i - 1] for i in earlier["item_index"]]
        if template is None:
            said = encoded.texts[0][row]
            assert encoded.texts[1][row] == (titles[item - 1] or "")
        else:
            (prompt,) = (each[row] for each in encoded.texts)
            said = prompt.removeprefix("had ").removesuffix(f"; wants {titles[item - 1] or 'none'}")
        lines = [] if said == "none" else said.split(" | ")
        assert len(lines) <= history_items
        assert all(line in allowed for line in lines[:-1])
        assert not lines or any(title and title.startswith(lines[-1]) for title in allowed)
        assert all(tokens.lengths[row] <= max_tokens for tokens in encoded.tokens)


def test_the_newest_are_said_in_order(
    prepared: Prepared, choices: list[Examples], tiny_language: str
) -> None:
    config = PromptConfig(choice="newest", history_items=3, separator=" | ")
    examples = choices[0].select(np.flatnonzero(choices[0].history_ends > 3)[-5:])
    said = PromptTexts(prepared, tiny_language, config, "prompt").encode(examples).texts[0]
    titles = ["", *(title or "" for title in prepared.items()["title"])]
    for row in range(5):
        span = slice(examples.history_starts[row], examples.history_ends[row])
        named = [titles[item] for item in prepared.item_ids[span] if titles[item]]
        assert said[row] == (" | ".join(named[-3:]) or "none")


def test_an_item_and_a_history_have_budgets_of_their_own(
    prepared: Prepared, choices: list[Examples], tiny_language: str
) -> None:
    config = PromptConfig(template=JOINT, history_items=9, item_tokens=1, history_tokens=3)
    encoded = PromptTexts(prepared, tiny_language, config, "prompt").encode(choices[1])
    for text in encoded.texts[0]:
        history, candidate = text.removeprefix("had ").split("; wants ")
        assert len(candidate.split()) == 1
        assert len(history.split("; ")) <= 2


def test_ratings_are_said_where_events_have_them(rated_dataset: Path, tiny_language: str) -> None:
    prepared = Prepared.open(locate(rated_dataset))
    everyone = np.ones(len(prepared.users()) + 1, dtype=bool)
    examples = target_choices(prepared, "test", everyone)
    config = PromptConfig(history_items=1, choice="newest", show_ratings=True)
    said = PromptTexts(prepared, tiny_language, config, "prompt").encode(examples).texts[0]
    rated = {
        (user, item): rating
        for user, item, rating in prepared.interactions()
        .select("user_index", "item_index", "rating")
        .collect()
        .iter_rows()
    }
    titles = ["", *(title or "" for title in prepared.items()["title"])]
    for row, end in enumerate(examples.history_ends):
        at = next(place for place in range(end - 1, -1, -1) if titles[prepared.item_ids[place]])
        item = int(prepared.item_ids[at])
        assert said[row] == f"{titles[item]} ({rated[int(examples.user_ids[row]), item]:g})"


def test_ratings_that_no_event_has_are_refused(prepared: Prepared, tiny_language: str) -> None:
    with pytest.raises(InputError, match=r"prompt\.show_ratings: true: no event of .* `rating`"):
        PromptTexts(prepared, tiny_language, PromptConfig(show_ratings=True), "prompt")


def test_a_candidate_beyond_the_budget_is_refused(
    prepared: Prepared, choices: list[Examples], tiny_language: str
) -> None:
    texts = PromptTexts(prepared, tiny_language, PromptConfig(max_tokens=3), "prompt")
    with pytest.raises(InputError, match=r"prompt\.max_tokens: 3: .* say less of an item"):
        texts.encode(choices[0])
