"""Give what the pages link to, outside of docs/, a place on the site: `mkdocs.yml` names this file as a hook.

The documents link to each other and to the code as files of the repository, which any git host shows. The site has a
page for each such file. Markdown stays as it is, a notebook has what it printed, a folder is the list of its files, and
all else is a listing. So no link leaves the site, and none needs the address of a host.
"""

import json
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = "docs"
FILES = "files"
"""The folder of the site that has the pages of files outside of docs/."""

ALWAYS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")
"""Pages that the menu has, whether another page links to them or not."""

NO_SEARCH = "---\nsearch:\n  exclude: true\n---\n"
PICTURES = (".png", ".jpg", ".svg", ".webp")
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".json": "json"}

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file that a page links to, and for those that these link to."""
    root = _root(config)
    todo = [posixpath.join(DOCS, each.src_uri) for each in files.documentation_pages()] + list(ALWAYS)
    seen = set(todo)
    for name in todo:  # which grows
        if not (root / name).exists():
            raise PluginError(f"a page links to {name}, which is not there")
        content = _document(root / name)
        if place(root, name).startswith(FILES):
            files.append(_file(root, name, content, config))
        found = {target: None for target in _targets(root, name, content or "") if target not in seen}
        todo += [target for target in found if place(root, target).startswith(FILES)]
        seen.update(found)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Point links to files of the repository at their pages."""
    root = _root(config)
    name, here = _source(page.file.src_uri), posixpath.dirname(page.file.src_uri)
    if _document(root / name) is None:
        return markdown

    def moved(link: re.Match[str]) -> str:
        if ":" in link[1]:  # of another host, or a picture in the text
            return link[0]
        target = place(root, _resolve(root, name, link[1]))
        return posixpath.relpath(target, here or ".") + (link[2] or "")

    return _outside_fences(markdown, lambda prose: LINK.sub(moved, prose))


def place(root: Path, name: str) -> str:
    """Return where a file of the repository lies on the site, as MkDocs names sources."""
    inside = name.removeprefix(f"{DOCS}/")
    if inside != name and not name.endswith(".py"):
        return inside
    path = root / name
    if path.is_dir():
        return posixpath.join(FILES, name, "README.md")
    if path.suffix in (".md", *PICTURES):
        return posixpath.join(FILES, name)
    return posixpath.join(FILES, f"{name}.md")


def _root(config: MkDocsConfig) -> Path:
    return Path(config.docs_dir).parent


def _source(src_uri: str) -> str:
    """Return the file of the repository that a page shows."""
    if not src_uri.startswith(f"{FILES}/"):
        return posixpath.join(DOCS, src_uri)
    name = src_uri.removeprefix(f"{FILES}/")
    bare = name.removesuffix(".md")
    return bare if posixpath.splitext(bare)[1] else name


def _resolve(root: Path, name: str, path: str) -> str:
    """Return the file of the repository that `name` links to as `path`; of a folder, its README."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    readme = posixpath.join(target, "README.md")
    return readme if (root / readme).is_file() else target


def _targets(root: Path, name: str, text: str) -> Iterator[str]:
    """Name the files that a document links to."""
    for path, _ in LINK.findall(FENCE.sub("", text)):
        if ":" not in path:
            yield _resolve(root, name, path)


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])


def _document(path: Path) -> str | None:
    """Return a document as Markdown; None for all other files."""
    if path.suffix == ".md" and path.is_file():
        return path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return _notebook(json.loads(path.read_text(encoding="utf-8")))
    return None


def _file(root: Path, name: str, content: str | None, config: MkDocsConfig) -> File:
    path, source = root / name, place(root, name)
    if path.suffix in PICTURES:
        return File.generated(config, source, abs_src_path=str(path))
    if content is None:
        content = NO_SEARCH + (_listed(path, name) if path.is_dir() else _listing(path, name))
    return File.generated(config, source, content=content)


def _listed(folder: Path, name: str) -> str:
    names = sorted(each.name for each in folder.iterdir() if each.is_file())
    return f"# `{name}/`\n\n" + "".join(f"- `{each}`\n" for each in names)


def _listing(path: Path, name: str) -> str:
    return f"# `{name}`\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text(encoding='utf-8')}\n````\n"


def _notebook(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown: its text, its code, and below it what was printed and drawn."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            kind = next((kind for kind in ("image/png", "image/jpeg") if kind in data), None)
            if kind:
                picture = "".join("".join(data[kind]).split())
                parts.append(f"![What the code above draws](data:{kind};base64,{picture})")
            elif printed := output.get("text") or data.get("text/plain"):
                parts.append(f"```text\n{''.join(printed).rstrip()}\n```")
    return "\n\n".join(parts)
