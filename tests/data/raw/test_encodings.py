import codecs
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrec_lightning.data.errors import InputError
from xrec_lightning.data.raw import encodings
from xrec_lightning.data.raw.encodings import as_utf8, is_utf8
from xrec_lightning.data.raw.kinds import SourceFile

Write = Callable[[str, str | bytes], SourceFile]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin1", "item,title\n1,Café crème\n"),
        ("cp1252", "item,title\r\n1,“Tea” €\r\n"),
        ("gb18030", "item,title\n1,绿茶\n"),
        ("shift_jis", "item,title\n1,緑茶\n"),
    ],
)
@pytest.mark.parametrize("name", ["items.csv", "items.csv.gz"])
def test_other_encodings_are_copied_whole(
    write: Write, name: str, encoding: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "_CHUNK", 3)  # cuts through characters
    file = write(name, text.encode(encoding))
    copy = as_utf8(file, encoding)
    assert copy.name == file.name
    assert copy.path.name == "items.csv"
    assert copy.path.read_bytes() == text.encode()


def test_a_copy_is_kept_until_the_file_changes(write: Write) -> None:
    file = write("items.csv", b"th\xe9")
    first = as_utf8(file, "latin1")
    assert as_utf8(file, "latin1") == first
    write("items.csv", b"th\xe9")
    os.utime(file.path, ns=(0, 0))
    assert as_utf8(file, "latin1").path.read_text(encoding="utf-8") == "thé"


def test_utf8_is_read_where_it_is(write: Write, cache: Path) -> None:
    file = write("items.csv", codecs.BOM_UTF8 + "thé".encode())
    assert as_utf8(file, "utf8") == file
    assert not cache.exists()
    bare = as_utf8(file, "utf8", keep_mark=False)
    assert bare.path.read_bytes() == "thé".encode()


@pytest.mark.parametrize("name", ["items.csv", "items.csv.gz"])
def test_other_bytes_at_the_start_are_named(write: Write, name: str) -> None:
    file = write(name, b"item,title\n1,Tea\n2,th\xe9\n")
    with pytest.raises(InputError, match=rf"{name}: line 3 has the byte 0xe9.*encoding: latin1"):
        as_utf8(file, "utf8")


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_utf16_is_refused(write: Write, mark: bytes) -> None:
    with pytest.raises(InputError, match=r"items\.csv: it is in UTF-16; save it in UTF-8"):
        as_utf8(write("items.csv", mark + b"a\x00"), "utf8")


def test_a_wrong_encoding_is_refused_and_leaves_nothing(write: Write, cache: Path) -> None:
    file = write("items.csv", b"title\n\x81\x20\n")
    with pytest.raises(InputError, match=r"items\.csv: the byte 0x81 is not cp1252"):
        as_utf8(file, "cp1252")
    assert not list(cache.rglob("items.csv"))


def test_a_full_disk_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(encodings, "_transcode", fail)
    with pytest.raises(InputError, match=r"items\.csv: .*No space left.*XREC_CACHE"):
        as_utf8(write("items.csv", b"\xe9"), "latin1")


@given(data=st.binary(max_size=12) | st.text(max_size=6).map(str.encode))
def test_utf8_is_told_as_python_tells_it(data: bytes) -> None:
    try:
        data.decode()
        expected = True
    except UnicodeDecodeError:
        expected = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "_CHUNK", 2)
        patch.setattr(encodings, "open_bytes", lambda _: io.BytesIO(data))
        assert is_utf8(SourceFile(Path("x"), "x")) is expected
