import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.steps import triples

Triple = tuple[str | None, str | None, str | None]

ITEMS = pl.DataFrame(
    {
        "item_index": [1, 2, 3],
        "item_id": ["a", "b", "c"],
        "title": ["Tea", None, "Pot"],
        "text": ["Tea. Good!", None, "Pot"],
        "price": [1, 2, 3],
    },
    schema_overrides={"item_index": pl.Int32},
)
TAGS = pl.Series(["green", "b"])


def known(*rows: Triple, **columns: list[object]) -> pl.DataFrame:
    names = dict.fromkeys(("head", "relation", "tail"), pl.String)
    frame = pl.DataFrame(list(rows), schema=names, orient="row")
    return triples.flag_triples(
        frame.with_columns(pl.Series(name, each) for name, each in columns.items())
    )


def test_incomplete_triples_say_why() -> None:
    rows = known(
        (" a ", "r", "b"),
        (None, "r", "b"),
        ("a", " ", "b"),
        ("a", "r", ""),
        ("a", "r", "c"),
        weight=[2.0, 1.0, 1.0, 1.0, float("nan")],
    )
    why = triples.INCOMPLETE
    assert rows["reason"].to_list() == [None, why, why, why, triples.BAD_WEIGHT]
    assert rows.row(0, named=True) == {
        "head": "a",
        "relation": "r",
        "tail": "b",
        "weight": 2.0,
        "domain": None,
        "reason": None,
    }


def test_entities_are_items_tags_or_none_of_both() -> None:
    found = triples.index_entities(known(("c", "is", "green"), ("b", "of", "Kyoto")), ITEMS, TAGS)
    assert found.columns == ["entity_index", "name", "kind", "item_index"]
    assert found.rows() == [
        (1, "Kyoto", "entity", None),
        (2, "b", "item", 2),
        (3, "c", "item", 3),
        (4, "green", "tag", None),
    ]
    assert found.schema["entity_index"] == found.schema["item_index"] == pl.Int32


def test_weights_of_equal_triples_are_summed_by_domain() -> None:
    rows = known(
        ("b", "of", "x"),
        ("b", "of", "x"),
        ("b", "of", "x"),
        ("a", "of", "a"),
        weight=[1.0, None, 0.5, 2.0],
        domain=["tea", "tea", None, None],
    )
    entities = triples.index_entities(rows, ITEMS, TAGS)
    edges = triples.entity_entity_edges(rows, entities)
    assert edges.columns == ["head_index", "relation", "tail_index", "domain", "weight"]
    assert edges.rows() == [
        (1, "of", 1, None, 2.0),
        (2, "of", 3, None, 0.5),
        (2, "of", 3, "tea", 2.0),
    ]


@given(st.permutations([("a", "r", "b"), ("a", "r", "b"), ("b", "r", "a"), ("c", "q", "b")]))
def test_the_order_of_triples_does_not_matter(rows: list[Triple]) -> None:
    def edges(rows: list[Triple]) -> pl.DataFrame:
        weights = [0.1 * (ord(row[0] or "") - 96) for row in rows]
        frame = known(*rows, weight=weights)
        return triples.entity_entity_edges(frame, triples.index_entities(frame, ITEMS, TAGS))

    assert edges(rows).equals(edges(sorted(rows)))


def test_facts_are_added_to_the_text_of_their_head() -> None:
    rows = known(
        ("a", "goes_with", "c"),
        ("a", "goes_with", "b"),
        ("a", "goes_with", "c"),
        ("a", "made in", "Kyoto"),
        ("b", "made in", "Uji"),
        ("c", "secret", "x"),
        ("Kyoto", "made in", "Japan"),
    )
    made = triples.add_facts(ITEMS, rows, ["made in", "goes_with"])
    assert made["text"].to_list() == [
        "Tea. Good! made in: Kyoto. goes with: Pot, b",
        "made in: Uji",
        "Pot",
    ]
    assert made.drop("text").equals(ITEMS.drop("text"))


def test_facts_share_the_budget_of_words() -> None:
    made = triples.add_facts(ITEMS, known(("a", "of", "Kyoto")), ["of"], max_words=3)
    assert made["text"].to_list() == ["Tea. Good! of:", None, "Pot"]


def test_unknown_relations_are_refused() -> None:
    rows = known(("a", "made in", "b"))
    triples.refuse_unknown_relations(rows, ["made in"], "knowledge.in_text")
    with pytest.raises(InputError, match="`made_in`; did you mean `made in`"):
        triples.refuse_unknown_relations(rows, ["made_in"], "knowledge.in_text")


def test_without_relations_texts_stay() -> None:
    assert triples.add_facts(ITEMS, known(("a", "of", "Kyoto")), []).equals(ITEMS)
    assert triples.add_facts(ITEMS, known(), ["of"]).equals(ITEMS)
