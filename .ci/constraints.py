"""Print constraints.txt: the version of each package that the requirements bring, as this environment has it.

Run it by `make constraints`, after the tests have passed with what is installed. What the requirements pin themselves
keeps their line.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
HEADING = "# Made by `make constraints`: the versions, tested together, of all packages that requirements*.txt bring."


def pinned() -> dict[str, list[Requirement]]:
    """Return the packages that the requirement files name."""
    found: dict[str, dict[str, Requirement]] = {}
    for path in sorted(ROOT.glob("requirements*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            if text and not text.startswith("-"):
                requirement = Requirement(text)
                found.setdefault(canonicalize_name(requirement.name), {})[text] = requirement
    return {name: list(lines.values()) for name, lines in found.items()}


def brought(requirements: list[Requirement]) -> dict[str, str]:
    """Return the versions of all installed packages that these need, themselves included."""
    versions: dict[str, str] = {}
    todo, seen = list(requirements), set()
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another platform, or another Python
            continue
        versions[name] = found.version
        for line in found.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                todo.append(needed)
    return versions


def main() -> None:
    """Print the file."""
    named = pinned()
    versions = brought([each for some in named.values() for each in some])
    versions.pop("setuptools", None)  # Python brings its own
    lines = {name: {f"{name}=={version}"} for name, version in versions.items()}
    for name, some in named.items():
        lines[name] = {f"{name}{each.specifier}" + (f"; {each.marker}" if each.marker else "") for each in some}
    print(HEADING)
    for name in sorted(lines):
        print("\n".join(sorted(lines[name])))


if __name__ == "__main__":
    main()
