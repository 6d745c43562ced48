import polars as pl

from xrec_lightning.data.text.verbalize import verbalize


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
