"""The commands of the documents work in a fresh clone after `make demo`: options and files exist, cheap ones run.

Each page is followed from top to bottom by a real shell, in a sandbox that holds what git holds. In place of the
programs that take long stands one that writes down how it was called, which of the files it was given were there, and
makes what the real one would. The recorded arguments go through the real parsers.
"""

import argparse
import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from captioner.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "docs/captions.md", "docs/training.md", "docs/deploy.md", "docs/characters.md"),
    *(
        "docs/scale.md",
        "docs/results.md",
        "docs/errors.md",
        "docs/rnn.md",
        "docs/keras.md",
        "datasets/README.md",
        "SECURITY.md",
    ),
)
LONGEST_README = 1000
"""Words, code included."""

DOWNLOADED = "datasets/flickr8k"
"""What `train` and `evaluate` download where nothing is there."""

PROGRAMS = ("python", "captioner", "make", "pip", "curl", "ray", "apt-get", "docker", ".venv/bin/python")
INPUTS = (
    "paths",
    "inputs",
    "recipe",
    "model",
    "init_from",
    "teachers",
    "data",
    "features",
    "text",
    "score",
    "encoder_weights",
)
"""Arguments that name what is read."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)((?:    \S.*\n)+)")
TYPED_AND_PRINTED = re.compile(
    r"^```sh\n(python predict\.py [^\n]*)\n```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")

STAND_IN = f"""\
#!{sys.executable} -S
import json, os, sys
arguments = sys.argv[1:]
paths = [part.lstrip("@") for each in arguments for part in [each, each.rpartition("=")[2]]]
call = {{"program": os.path.basename(sys.argv[0]), "arguments": arguments}}
call["there"] = sorted({{path for path in paths if os.path.exists(path)}})
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(call) + chr(10))
made = [after for option, after in zip(arguments, arguments[1:]) if option in ("--output", "--attention", "--surprise")]
if "train.py" in arguments:
    made += ["{DOWNLOADED}"] + ([] if "--output" in arguments else ["saved_models/flickr8k-rnn/metrics.json"])
for path in made:
    if "://" in path:
        continue
    if os.path.splitext(path)[1]:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        open(path, "a").close()
    else:
        os.makedirs(path, exist_ok=True)
"""


class Call(NamedTuple):
    """A program that a page starts: its name, its arguments, and which of them named something that was there."""

    program: str
    arguments: list[str]
    there: list[str]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shell_blocks(text: str) -> list[str]:
    """Return the shell blocks: fenced ones marked sh, and indented ones that begin with one of `PROGRAMS`."""
    fenced = [code for language, code in FENCE.findall(text) if language == "sh"]
    indented = [re.sub("^    ", "", code, flags=re.MULTILINE) for code in INDENTED.findall(FENCE.sub("", text))]
    return fenced + [code for code in indented if code.split(maxsplit=1)[0] in PROGRAMS]


@pytest.fixture
def clone(tmp_path):
    """A folder with links to what git holds, and copies of its photos."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for each in ROOT.iterdir():
        if each.is_file() or each.name in ("captioner", "docs", "tests", "benchmarks", "recipes"):
            (clone / each.name).symlink_to(each)
    for name in ("saved_models", "datasets"):
        (clone / name).mkdir()
    for name in ("flickr8k", "compact", "char-lm"):
        (clone / "saved_models" / name).symlink_to(ROOT / "saved_models" / name)
    shutil.copytree(ROOT / "photos", clone / "photos")
    return clone


@pytest.fixture
def follow(clone, tmp_path):
    """Returns a function that follows a page with stand-ins for all programs, and gives what was called."""

    def run(name: str) -> list[Call]:
        calls = tmp_path / "calls"
        calls.touch()
        programs = clone / ".venv" / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        for program in PROGRAMS:
            path = programs / Path(program).name
            path.write_text(STAND_IN)
            path.chmod(0o755)
        (programs / "activate").touch()
        environ = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "CALLS": str(calls)}
        script = "\n".join(shell_blocks(read(name)))
        done = subprocess.run(
            ["bash", "-eu"], input=script, cwd=clone, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [Call(**json.loads(line)) for line in calls.read_text().splitlines()]

    return run


def command_of(call: Call) -> tuple[str, list[str]] | None:
    """Return the subcommand that a call reaches, with its arguments; None where it is another program's."""
    first, *rest = [*call.arguments, ""]
    if call.program == "python" and first in ("predict.py", "train.py"):
        return first.removesuffix(".py"), call.arguments[1:]
    if call.program == "python" and call.arguments[:2] == ["-m", "captioner"]:
        return rest[1], call.arguments[3:]
    if call.program == "captioner":
        return first, call.arguments[1:]
    return None


def parse(command: str, arguments: list[str]) -> argparse.Namespace | None:
    """Parse a command line as the program does; None for `--help`."""
    if "--help" in arguments:
        return None
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return import_module(f"captioner.cli.{command}").make_parser(command).parse_args(arguments)
    except SystemExit:
        pytest.fail(f"{command} {shlex.join(arguments)}: {complaint.getvalue()}")


def inputs_of(parsed: argparse.Namespace, given: list[str]) -> list[str]:
    """Name what a command reads: what was typed, not what is so by default."""
    values = [getattr(parsed, name, None) for name in INPUTS]
    named = [str(each) for value in values for each in (value if isinstance(value, list) else [value])]
    return [each for each in named if each in given and "://" not in each and "*" not in each]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_has_options_and_files_that_exist(name, follow):
    for call in follow(name):
        typed = f"{name}: {call.program} {shlex.join(call.arguments)}"
        if call.program == "make":
            targets = [each for each in call.arguments if "=" not in each]
            assert all(re.search(rf"^{target}:", read("Makefile"), re.MULTILINE) for target in targets), typed
        elif call.program == "pip":
            requirements = [
                after for flag, after in zip(call.arguments, call.arguments[1:], strict=False) if flag == "-r"
            ]
            assert set(requirements) <= set(call.there), typed
        elif call.program == "curl":
            sent = [each.rpartition("@")[2] for each in call.arguments if "@" in each]
            assert set(sent) <= set(call.there), typed
        elif found := command_of(call):
            command, arguments = found
            assert command in COMMANDS, typed
            parsed = parse(command, arguments)
            for each in inputs_of(parsed, arguments) if parsed else ():
                assert each in call.there or each.startswith(DOWNLOADED), f"{typed}: {each} is not there"


def test_following_finds_what_is_wrong(follow, monkeypatch):
    """The checks above can fail: for a file that is not there, an option that does not exist, a target of no rule."""
    page = "```sh\npython predict.py --score letter.txt\npython predict.py photos/ --colour\nmake coffee\n```\n"
    monkeypatch.setattr(Path, "read_text", _instead(ROOT / "README.md", page))
    missing, unknown, target = follow("README.md")
    assert (missing.there, target.arguments) == (["predict.py"], ["coffee"])
    assert inputs_of(parse("predict", missing.arguments[1:]), missing.arguments) == ["letter.txt"]
    with pytest.raises(pytest.fail.Exception, match="unrecognized arguments: --colour"):
        parse("predict", unknown.arguments[1:])


def _instead(path: Path, text: str):
    real = Path.read_text

    def read_text(self: Path, *arguments, **options) -> str:
        return text if self == path else real(self, *arguments, **options)

    return read_text


@pytest.fixture
def without_weights(monkeypatch, tmp_path, clone):
    """A user who has nothing but a fresh clone, in it."""
    for name in ("CAPTIONER_ENCODER_WEIGHTS", "CAPTIONER_DATA", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(clone)


NEEDS_MORE = ("flickr8k", "saved_models/flickr8k", "exported/ready", "saved_models/book")
"""Models that need weights, an export or a training first."""


@pytest.mark.parametrize("name", ["README.md", "docs/captions.md", "docs/characters.md"])
def test_every_prediction_runs(name, follow, without_weights, capsys, clone):
    lines = [line for line in follow(name) if (command_of(line) or ("",))[0] == "predict"]
    lines = [call for call in lines if not set(NEEDS_MORE) & set(call.arguments)]
    assert len(lines) > 3
    for path in ("captions.csv", "attention.png", "letter.html"):  # of the stand-in
        (clone / path).unlink(missing_ok=True)
    for call in lines:
        _, arguments = command_of(call)
        assert main(["predict", *arguments]) == 0, (shlex.join(arguments), capsys.readouterr().err)
        assert capsys.readouterr().out or {"--output", "--attention"} & set(arguments)


@pytest.mark.parametrize(("name", "command"), [("README.md", "--prompt ROMEO:"), ("docs/characters.md", "--suggest 5")])
def test_a_text_is_what_the_command_above_it_prints(name, command, without_weights, capsys):
    pairs = TYPED_AND_PRINTED.findall(read(name))
    (typed, printed), *others = pairs
    assert not others
    assert main(shlex.split(typed.replace("python predict.py", "predict"))) == 0
    assert capsys.readouterr().out == printed
    assert command in typed.replace('"', "")


@pytest.mark.parametrize("name", ["README.md", "docs/captions.md"])
def test_python_blocks_run(name, without_weights, capsys):
    session: dict[str, object] = {}
    blocks = [code for language, code in FENCE.findall(read(name)) if language == "python"]
    for code in blocks:
        exec(compile(code, name, "exec"), session)
    printed = capsys.readouterr().out
    assert printed.count("photos/") >= 2
    assert "(64,)" not in printed
    assert re.search(r"0\.\d+ (True|False)" if name == "README.md" else r"\(\d+, 64\)", printed)


@pytest.mark.parametrize("name", [name for name in PAGES if name != "docs/rnn.md"])
def test_code_in_other_languages_is_well_formed(name):
    for language, code in FENCE.findall(read(name)):
        assert language in ("sh", "bat", "python", "json", "text"), f"{name}: a block of {language or 'no language'}"
        if language == "python":
            compile(code, name, "exec")
        if language == "json":
            json.loads(code)
        if language == "bat":
            for line in code.splitlines():
                words = line.replace("\\", "/").split()
                assert all((ROOT / each).is_file() for each in words if each.endswith((".py", ".txt"))), line


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_help_text_parse(command):
    text = getattr(import_module(f"captioner.cli.{command}"), "EXAMPLES", None)
    if text is None:
        text = import_module("captioner.cli.train_options").EXAMPLES
    lines = [line.strip() for line in text.replace("\\\n      ", "").splitlines() if line.startswith("  python ")]
    assert lines
    for line in lines:
        program, *arguments = shlex.split(re.split(" {2,}", line)[0], comments=True)  # what follows explains it
        if found := command_of(Call(program, arguments, [])):
            parse(*found)


@pytest.mark.parametrize("name", [name for name in PAGES if name != "docs/rnn.md"])
def test_every_link_leads_somewhere(name):
    for picture, text, target in LINK.findall(FENCE.sub("", read(name))):
        path, _, anchor = target.partition("#")
        if target.startswith("https://"):
            assert not picture, f"{name}: {target} is not shown without a network"
            continue
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name}: {target}"
        assert not picture or len(text) > 40, f"{name}: {target} is described for those who cannot see it"
        if anchor:
            assert anchor in _anchors(page.read_text(encoding="utf-8")), f"{name}: {target}"


def _anchors(text: str) -> set[str]:
    """Return the names that a git host gives to headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["captions", "training", "deploy", "characters", "results", "errors", "keras"])
def test_a_page_lists_its_sections(name):
    text = read(f"docs/{name}.md")
    listed = re.findall(r"^- \[(.*?)\]\(#.*\)$", text, re.MULTILINE)
    assert listed == re.findall(r"^## (.*)$", FENCE.sub("", text), re.MULTILINE)


def test_the_readme_is_short_and_shows_a_picture_at_once():
    text = read("README.md")
    assert len(text.split()) <= LONGEST_README
    first = next(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith("!["))
    assert first <= 10


def test_the_picture_is_small():
    assert (ROOT / "docs" / "figures" / "attention_photo.webp").stat().st_size < 200_000


def test_the_citation_names_this_version():
    from captioner import __version__

    assert f"\nversion: {__version__}\n" in read("CITATION.cff")
    assert "  - name: Captioner contributors\n" in read("CITATION.cff")


def test_the_scores_of_the_readme_are_those_of_the_results():
    """The tables of both pages agree on every model that both name."""
    for label in ("flickr8k`**", "NeuralTalk", "one person"):
        rows = []
        for name in ("README.md", "docs/results.md"):
            section = read(name).split("\n## Results\n" if name == "README.md" else "\n## Test\n")[1].split("\n## ")[0]
            row = next(line for line in section.splitlines() if line.startswith("| ") and label in line)
            rows.append([cell.strip() for cell in row.split("|")[2:-1]])
        assert rows[0] == rows[1], label
