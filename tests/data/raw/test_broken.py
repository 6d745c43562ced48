import errno
import gzip
import json
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw.broken import explain_errors, find_fault
from xrec_lightning.data.raw.formats import scan_log, scan_table
from xrec_lightning.data.raw.kinds import SourceFile

Write = Callable[[str, str | bytes], SourceFile]

HEAD = b"user_id,item_id\n1,a\n"
LINE = b'{"user_id":1}\n'
LONG = b"1,a\n" * 300_000
"""More than is looked at before reading."""

FAULTS = {
    "latin1": ("a.csv", HEAD + b"2,th\xe9\n", "line 3 has the byte 0xe9.*`encoding: latin1`"),
    "latin1 far down": ("a.csv", HEAD + LONG + b"2,\xe9\n", "line 300003 has the byte 0xe9"),
    "latin1 in gz": ("a.csv.gz", HEAD + b"2,th\xe9\n", "line 3 has the byte 0xe9"),
    "latin1 in the header": ("a.csv", b"user_id,th\xe9\n1,2\n", "line 1 has the byte 0xe9"),
    "latin1 in json": ("a.jsonl", LINE + b'{"user_id":"\xe9"}\n', "line 2 has the byte 0xe9"),
    "latin1 in atomic": ("a.inter", b"user_id:token\n\xe9\n", "line 2 has the byte 0xe9"),
    "utf-16": ("a.csv", HEAD.decode().encode("utf-16"), "UTF-16; save it in UTF-8"),
    "open quote": ("a.csv", HEAD + b'2,"b\n3,c\n', "line 3 has a quote that does not close"),
    "open quote in tsv": ("a.tsv", b'a\tb\n1\t"2\n', "line 2 has a quote that does not close"),
    "quote in the middle": ("a.csv", HEAD + b'2,5" b\n3,c\n', "line 3 has a quote that does not"),
    "text after a quote": (
        "a.csv",
        HEAD + b'2,"b"x\n3,c\n',
        "line 3 has a quote.*each quote twice",
    ),
    "long open quote": ("a.csv", HEAD + b'2,"b\n' + LONG, "line 3 has a quote that does not close"),
    "too many fields": ("a.csv", HEAD + b"2,b\n3,c,4\n", "line 4 has 3 fields, the header 2.*','"),
    "too many after a long row": ("a.csv", HEAD + b'2,"b\nb"\n3,c,4\n', "line 5 has 3 fields"),
    "too many in atomic": ("a.inter", b"a:token\n1\t2\n", "line 2 has 2 fields, the header 1"),
    "cut json": ("a.jsonl", LINE + b'{"user_id":\n', "line 2 is no JSON: .*one object"),
    "json of two lines": ("a.jsonl", b'{"user_id":\n1}\n', "line 1 is no JSON"),
    "json array": ("a.jsonl", b'[{"user_id":1}]\n', "line 1 is no JSON object"),
    "json number": ("a.jsonl", LINE + b"3\n", "line 2 is no JSON object"),
    "NaN in json": ("a.jsonl", LINE + b'{"user_id":NaN}\n', "line 2.*NaN is no JSON number.*null"),
}


@pytest.mark.parametrize("scan", [scan_log, scan_table])
@pytest.mark.parametrize(("name", "content", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_named_with_their_line(
    write: Write, scan: Callable[..., pl.LazyFrame], name: str, content: bytes, message: str
) -> None:
    file = write(name, content)
    with pytest.raises(InputError, match=f"{name}: .*{message}"), explain_errors([file]):
        scan(file).collect(engine="streaming")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_cut_archives_are_named(write: Write, name: str) -> None:
    text = HEAD + LONG if "csv" in name else LINE * 1000
    file = write(name, text)
    file.path.write_bytes(gzip.compress(text)[:-20])
    with pytest.raises(InputError, match=f"{name}: .*end too early"), explain_errors([file]):
        scan_log(file).collect()


def test_damaged_archives_are_named(write: Write) -> None:
    file = write("a.csv.gz", HEAD + LONG)
    file.path.write_bytes(file.path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(InputError, match=r"damaged .*copy the file again"), explain_errors([file]):
        scan_log(file).collect()
    file = write("a.csv.zst", b"\x28\xb5\x2f\xfd" + b"x" * 40)
    with pytest.raises(InputError, match=r"a\.csv\.zst: cannot be read: .*is whole"):
        scan_log(file)


def test_the_file_with_the_fault_is_named(write: Write) -> None:
    files = [write("a.csv", HEAD), write("b.csv", HEAD + b"2,b,c\n")]
    rows = pl.concat([scan_log(file) for file in files])
    with pytest.raises(InputError, match=r"b\.csv: line 3 has 3 fields"), explain_errors(files):
        rows.collect()


def test_lines_of_other_encodings_are_told(write: Write) -> None:
    file = write("a.csv", HEAD + b"\xe9,b,c\n")
    assert find_fault(file, "latin1") == find_fault(write("b.csv", HEAD + b"e,b,c\n"))


def test_errors_without_a_fault_name_all_files(write: Write) -> None:
    files = [write("a.csv", HEAD), write("b.parquet", "x")]
    message = r"a\.csv, .*b\.parquet: cannot be read: odd"
    with pytest.raises(InputError, match=message), explain_errors(files):
        raise pl.exceptions.ComputeError("odd")


def test_errors_of_the_disk_stay_what_they_are(write: Write) -> None:
    for error in (OSError(errno.ENOSPC, "disk full"), OSError("disk full (os error 28)")):
        with pytest.raises(OSError, match="full"), explain_errors([write("a.csv", HEAD)]):
            raise error


FIELDS = st.text(st.sampled_from('a,"\n\t é'), max_size=5)


@given(rows=st.lists(st.tuples(FIELDS, FIELDS), max_size=4))
def test_sound_files_have_no_fault(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("sound")
    frame = pl.DataFrame(rows, {"x": pl.String, "y": pl.String}, orient="row")
    frame.write_csv(folder / "a.csv")
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in frame.to_dicts()))
    for path in folder.iterdir():
        assert find_fault(SourceFile(path, path.name)) is None
