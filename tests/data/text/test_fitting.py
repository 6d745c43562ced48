import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.text.fitting import LineFitter, refuse_long
from xrec_lightning.data.text.tokenize import load_tokenizer

lines = st.lists(st.sampled_from(["green tea", "iron pot", "mint", "clay tea pot 3"]), max_size=6)


@pytest.fixture(scope="module")
def fitter(tiny_language: str) -> LineFitter:
    return LineFitter(load_tokenizer(tiny_language), "; ")


def ask(_: int, history: str) -> str:
    """Return a prompt whose question is five tokens, seven with the special ones."""
    return f"history: {history}. tea pot"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=4), st.integers(8, 30))
def test_prompts_fit_and_keep_the_question_and_the_best_lines(
    fitter: LineFitter, histories: list[list[str]], max_tokens: int
) -> None:
    fitted = fitter.fit(histories, ask, max_tokens, "max_tokens")
    assert len(fitted.texts) == len(histories)
    for row, history in enumerate(histories):
        kept = fitted.lines[row]
        assert fitted.tokens.lengths[row] <= max_tokens
        start, end = fitted.tokens.offsets[row], fitted.tokens.offsets[row + 1]
        ids = fitter.tokenizer(ask(row, "; ".join(kept)))["input_ids"]
        assert fitted.tokens.token_ids[start:end].tolist() == ids
        assert fitted.texts[row] == ask(row, "; ".join(kept))
        if kept:
            # The best lines, of which only the last one may lose its last words.
            assert kept[:-1] == history[len(history) - len(kept) : -1]
            assert history[-1].startswith(kept[-1])
        if len(fitter.tokenizer(ask(row, "; ".join(history)))["input_ids"]) <= max_tokens:
            assert kept == history


def test_words_of_the_best_line_go_when_nothing_else_is_left(fitter: LineFitter) -> None:
    fitted = fitter.fit([["mint", "green tea pot"]], ask, 9, "max_tokens")
    assert fitted.lines == [["green tea"]]


def test_a_question_that_does_not_fit_is_refused(fitter: LineFitter) -> None:
    with pytest.raises(InputError, match=r"max_tokens: 6: without any history .* has 7 tokens"):
        fitter.fit([["mint"]], ask, 6, "max_tokens")


def test_histories_are_shortened_by_their_own_budget(fitter: LineFitter) -> None:
    histories = [["mint", "green tea", "iron pot"], ["mint"], []]
    # Two tokens each, and one of the separator between them.
    assert fitter.shorten(histories, 5) == [["green tea", "iron pot"], ["mint"], []]
    assert fitter.shorten(histories, 3) == [["iron pot"], ["mint"], []]
    assert fitter.shorten(histories, 1) == [["iron"], ["mint"], []]


def test_texts_are_cut_where_a_token_ends(fitter: LineFitter) -> None:
    texts = ["green tea pot", "mint", "green tea pot", ""]
    assert fitter.cut(texts, 2) == {"green tea pot": "green tea", "mint": "mint", "": ""}
    assert fitter.cut([], 2) == {}


def test_texts_longer_than_the_model_reads_are_refused(tiny_language: str) -> None:
    tokenizer = load_tokenizer(tiny_language)
    tokenizer.model_max_length = 16
    refuse_long(16, tokenizer, "max_tokens")
    with pytest.raises(InputError, match=r"max_tokens: 17: .* reads at most 16 tokens"):
        refuse_long(17, tokenizer, "max_tokens")
