"""Names that every part agrees on."""

from xrec_lightning import schema


def test_no_domain_can_be_taken_for_a_slice() -> None:
    assert set(schema.SLICES) < schema.RESERVED_NAMES
    assert {"user", "all"} < schema.RESERVED_NAMES


def test_names_are_unique() -> None:
    for names in (schema.SLICES, schema.SPLITS, schema.BUCKETS):
        assert len(set(names)) == len(names)
