"""The packages that are not in the base: which extra brings them, and the message where one is missing."""

import sys
from importlib.util import find_spec

from captioner.errors import CaptionerError

EXTRAS = {
    "train": ("tensorflow", "keras", "pandas", "nltk", "charset_normalizer", "matplotlib"),
    "serve": ("starlette", "uvicorn", "python_multipart", "prometheus_client", "h11"),
    "cluster": ("ray", "pyarrow", "psutil"),
    "export": ("tensorflow", "keras", "onnx", "tf2onnx", "onnxruntime"),
    "plots": ("matplotlib",),
    "heif": ("pi_heif",),
    "tensorboard": ("tensorboard",),
    "notebook": ("nbclient", "nbformat", "ipykernel"),
    "docs": ("mkdocs", "material", "mkdocstrings", "latex2mathml", "ziamath", "fontTools"),
}
"""The extras of `pyproject.toml`, and the modules that are imported of what they bring."""

NAMES = {"tensorflow": "TensorFlow", "keras": "Keras", "ray": "Ray", "pyarrow": "PyArrow", "onnx": "ONNX"}
"""What modules are called in a sentence, where that is not their name."""

_FILES = {"train": "requirements.txt"} | {
    extra: f"requirements-{extra}.txt" for extra in ("serve", "cluster", "export", "heif", "notebook", "docs")
}
_ONLY_BEFORE_3_14 = "tensorflow"


def require(extra: str, purpose: str, *modules: str) -> None:
    """Check that what an extra brings is installed; nothing is imported.

    Args:
        extra: one of `EXTRAS`.
        purpose: what needs it, in words, such as "training".
        modules: those that are needed; not given, all of the extra.

    Raises:
        CaptionerError: a module is missing; the message says how to get it.
    """
    missing = [name for name in modules or EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise CaptionerError(_message(extra, purpose, missing[0]))


def explain(error: ImportError) -> str | None:
    """Return the message about a module that could not be imported; None where no extra installs it."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return _message(extra, "this command", module) if extra and find_spec(module) is None else None


def _message(extra: str, purpose: str, module: str) -> str:
    lacks = f"{purpose} needs {NAMES.get(module, module)}, which is not installed"
    if module == _ONLY_BEFORE_3_14 and sys.version_info >= (3, 14):
        version = ".".join(map(str, sys.version_info[:2]))
        return f"{lacks}: there is none for Python {version}; use Python 3.11 to 3.13, with the extra {extra!r}"
    file = f"pip install -r {_FILES[extra]}, or: " if extra in _FILES else ""
    return f"{lacks}; install it with: {file}pip install '.[{extra}]', in Captioner's folder"
