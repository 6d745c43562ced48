import polars as pl
import pytest

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.text.verbalize import (
    TextStyle,
    domain_labels,
    fill_template,
    parse_template,
    split_tags,
    template_columns,
    verbalize,
)


def texts(columns: list[str], **values: list[object]) -> list[str | None]:
    frame = pl.DataFrame(values)
    return frame.select(verbalize(columns, frame.schema)).to_series().to_list()


def test_fields_become_sentences_in_their_order() -> None:
    assert texts(["b", "a"], a=["x"], b=["Tea"]) == ["Tea. x"]


def test_missing_and_blank_fields_are_left_out() -> None:
    found = texts(["a", "b"], a=["Tea", None, " ", None], b=[None, "x", "y", ""])
    assert found == ["Tea", "x", "y", None]


def test_a_field_that_ends_its_sentence_gets_no_second_stop() -> None:
    assert texts(["a", "b"], a=["Tea!", "Dr."], b=["x", "y."]) == ["Tea! x", "Dr. y."]


def test_blanks_are_joined() -> None:
    assert texts(["a"], a=["  green \n\t tea "]) == ["green tea"]


def test_numbers_and_lists_are_spelled_out() -> None:
    assert texts(["n", "tags"], n=[7, None], tags=[["a", "b"], []]) == ["7. a, b", None]


def test_no_columns_give_no_text() -> None:
    frame = pl.DataFrame({"a": ["x"]})
    assert frame.select("a", verbalize([], frame.schema).alias("text")).row(0) == ("x", None)


def test_texts_end_at_the_budget_of_words() -> None:
    frame = pl.DataFrame({"a": ["one  two", None], "b": ["three four", "five"]})
    made = frame.select(verbalize(["a", "b"], frame.schema, TextStyle(max_words=3)))
    assert made.to_series().to_list() == ["one two. three", "five"]


PATHS = pl.DataFrame({"path": ["Food > Tea, Food > Green", " > ", None]})


def test_levels_of_category_paths_are_shown_one_by_one() -> None:
    style = TextStyle(tags=["path"], path_separator=" > ")
    made = PATHS.select(verbalize(["path"], PATHS.schema, style)).to_series()
    assert made.to_list() == ["Food, Tea, Green", None, None]


def test_tags_are_trimmed_and_each_once_in_their_order() -> None:
    tags = PATHS.select(split_tags("path", PATHS.schema["path"], ",", ">")).to_series()
    assert tags.to_list() == [["Food", "Tea", "Green"], None, None]
    lists = pl.DataFrame({"tags": [["b ", None, "a", "b"], [], ["a > b"]]})
    whole = lists.select(split_tags("tags", lists.schema["tags"], ",")).to_series()
    assert whole.to_list() == [["b", "a"], None, ["a > b"]]


def filled(template: str, **values: list[object]) -> list[str | None]:
    frame = pl.DataFrame(values)
    parts = parse_template(template, "items.template")
    return frame.select(fill_template(parts, frame.schema)).to_series().to_list()


def test_parts_in_brackets_vanish_when_a_column_of_theirs_is_empty() -> None:
    made = filled(
        "{title}[, made by {brand} in {land}][. {words}.]",
        title=["Tea", "Pot", None, None],
        brand=["Ours", "Ours", " ", None],
        land=["Kyoto", None, "Kyoto", None],
        words=[["good", "new"], [], ["old"], []],
    )
    assert made == ["Tea, made by Ours in Kyoto. good, new.", "Pot", ". old.", None]


def test_doubled_brackets_are_characters() -> None:
    assert filled("{{x}} [[{a}]] [({a}]])]", a=["b"]) == ["{x} [b] (b])"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{a", r"items.template: `{` in '{a' has no partner; write `{{`"),
        ("a}", "`}` in 'a}' has no partner; write `}}`"),
        ("[{a} [{b}]]", r"`\[` in .* has no partner; write `\[\[`"),
        ("{a}]", r"`\]` in .* has no partner"),
        ("[{a}", r"a `\[` in '\[{a}' is never closed"),
        ("tea", "'tea' names no column"),
    ],
)
def test_broken_templates_are_refused(template: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_template(template, "items.template")


def test_a_template_tells_its_columns() -> None:
    parts = parse_template("{title} [{brand}] {title}", "items.template")
    assert template_columns(parts) == ["title", "brand"]


def test_columns_of_a_template_may_have_other_names_in_the_frame() -> None:
    frame = pl.DataFrame({"title_raw": ["Tea"]})
    parts = parse_template("A {title}", "items.template")
    made = frame.select(fill_template(parts, frame.schema, rename=lambda name: f"{name}_raw"))
    assert made.item() == "A Tea"


def test_labels_of_unknown_domains_are_refused() -> None:
    with pytest.raises(InputError, match="domains: no domain is called `te`; did you mean `tea`"):
        domain_labels(["tea", "pots"], {"te": "teas"}, "domains")
