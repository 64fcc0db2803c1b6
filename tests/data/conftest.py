from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


@pytest.fixture
def make_files(tmp_path: Path) -> Callable[..., Path]:
    """Write files, given as relative name -> text or bytes, and empty photos, under tmp_path/data."""

    def make(files: Mapping[str, str | bytes], photos: str = "") -> Path:
        root = tmp_path / "data"
        root.mkdir(exist_ok=True)
        for name, content in {**files, **dict.fromkeys(photos.split(), b"")}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return make
