"""Where pre-trained models lie."""

from pathlib import Path

import pytest

from xrec_lightning.pretrained import resolve_pretrained


@pytest.mark.parametrize("name", ["bert-base-uncased", "runs/pretrain/model"])
def test_folders_and_hub_names_stay_as_they_are(name: str) -> None:
    assert resolve_pretrained(name) == name


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
