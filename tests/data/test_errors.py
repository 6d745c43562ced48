from xrec_lightning.data.errors import InputError, suggest


def test_names_without_likeness_are_all_listed() -> None:
    assert suggest("zzz", ["b", "a"]) == "valid: a, b"


def test_nearest_name_wins() -> None:
    assert suggest("timestmp", ["time_unit", "timestamp"]) == "did you mean `timestamp`?"


def test_input_errors_are_value_errors() -> None:
    assert issubclass(InputError, ValueError)
