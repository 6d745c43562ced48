from pathlib import Path

import pytest
from transformers import AutoModel, AutoTokenizer

from xrec_lightning.models.language.folder import save_model, write_folder
from xrec_lightning.models.language.tower import load_encoder


def test_a_saved_folder_holds_model_and_tokenizer(tiny_language: str, tmp_path: Path) -> None:
    save_model(tmp_path / "run" / "model", load_encoder(tiny_language), tiny_language)
    folder = str(tmp_path / "run" / "model")
    assert AutoModel.from_pretrained(folder).config.hidden_size == 16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (
        tokenizer("tea pot")["input_ids"]
        == AutoTokenizer.from_pretrained(tiny_language)("tea pot")["input_ids"]
    )


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_folder(folder, lambda path: (path / "weights").write_text("old"))

    def fail(path: Path) -> None:
        (path / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_folder(folder, fail)
    assert (folder / "weights").read_text() == "old"
    write_folder(folder, lambda path: (path / "weights").write_text("new"))
    assert (folder / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
