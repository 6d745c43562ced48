from xrec_lightning.data.prompts import click_prompt


def test_the_candidate_stands_last() -> None:
    assert click_prompt(["a", "b"], "c") == "history: a; b. candidate: c"


def test_an_empty_history_is_said() -> None:
    assert click_prompt([], "c") == "history: none. candidate: c"
