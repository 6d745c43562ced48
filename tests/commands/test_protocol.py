"""``xrec protocol``."""

from pathlib import Path

import pytest

from xrec_lightning.__main__ import main
from xrec_lightning.data.prepare import locate
from xrec_lightning.data.prepared import Prepared
from xrec_lightning.data.protocol import read_protocol


def test_the_protocol_is_written_and_its_hash_printed(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "protocol.yaml"
    folder = locate(tiny_dataset)
    texts = []
    for dataset in (tiny_dataset, folder):
        assert main(["protocol", str(dataset), f"--output={path}"]) == 0
        assert capsys.readouterr().out.strip() == Prepared.open(folder).protocol
        texts.append(path.read_text())
    assert texts[0] == texts[1]
    assert read_protocol(path)["hash"] == Prepared.open(folder).protocol


def test_another_frozen_protocol_is_not_overwritten(
    tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "protocol.yaml"
    # The hash of an empty protocol: SHA-256 of `{}`.
    text = "hash: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n"
    path.write_text(text)
    assert main(["protocol", str(tiny_dataset), f"--output={path}"]) == 1
    assert "another protocol is frozen there" in capsys.readouterr().err
    assert path.read_text() == text
