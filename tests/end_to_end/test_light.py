"""The light base in a new environment, without TensorFlow: what it installs, and that all of prediction works in it."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_MEGABYTES = 180
"""That the packages of the base take, without pip and what Python puts beside it."""

ENCODER = os.environ.get("CAPTIONER_ENCODER_WEIGHTS", "")

PYTHONS = [sys.executable, *filter(None, [shutil.which("python3.14")])]

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="POSIX's layout of environments")]


def install(python: Path, name: str) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "15", "-r", ROOT / name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"the packages cannot be installed here: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda path: Path(path).name)
def base(request, tmp_path_factory) -> tuple[Path, float]:
    """The Python of an environment with the base, and the megabytes that its packages take."""
    folder = tmp_path_factory.mktemp("light")
    subprocess.run([request.param, "-m", "venv", folder], check=True, timeout=120)
    install(folder / "bin" / "python", "requirements-predict.txt")
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in packages.iterdir() if not path.name.startswith(("pip", "setuptools", "pkg_resources"))]
    size = sum(file.stat().st_blocks for path in ours for file in [path, *path.rglob("*")]) * 512
    return folder / "bin" / "python", size / 2**20


@pytest.fixture(scope="module")
def python(base) -> Path:
    """The Python of the same environment, which then has the packages of the page too."""
    install(base[0], "requirements-serve.txt")
    return base[0]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What git holds, as far as prediction goes; a copy, since photos get captions beside them."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("captioner", "photos", "saved_models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("predict.py", "train.py"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """A user who has nothing yet."""
    hidden = ("CAPTIONER_", "PYTHON", "XDG_", "KERAS", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | {"HOME": str(tmp_path)}


@pytest.fixture
def run(python, clone, environment):
    """Returns a function that runs a command in the clone, and gives its output, its messages and its status."""

    def run(*arguments):
        command = [python, *map(str, arguments)]
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr, done.returncode

    return run


def test_the_base_is_small_and_has_no_framework(base, python):
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert not names & {"tensorflow", "keras", "onnxruntime", "pandas", "matplotlib", "nltk"}
    assert 50 < base[1] <= MOST_MEGABYTES


def test_a_photo_gets_a_caption_from_the_model_that_needs_nothing(run):
    out, err, status = run("predict.py", "photos/camera.jpg")
    assert (out.count("\n"), status) == (1, 0)
    assert err.startswith("captioner: captioning with saved_models/compact, since InceptionV3's weights are not here")
    assert run("predict.py", "photos/camera.jpg", "--model", "compact") == (out, "", 0)
    assert run("-m", "captioner", "predict", "photos/camera.jpg") == (out, "", 0)  # the note was told


def test_the_captions_are_those_of_an_environment_with_all_packages(run, clone, environment):
    command = [sys.executable, "predict.py", "photos", "--model", "compact", "--format", "json"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert run(*command[1:])[0] == done.stdout
    assert len(done.stdout.splitlines()) == len(list((ROOT / "photos").glob("*.jpg")))


def test_captions_go_into_files(run, clone, tmp_path):
    shutil.copytree(clone / "photos", tmp_path / "album")
    options = ["--embed", "--embed-all", "--sidecar", "--attention", tmp_path / "looked", "--quiet"]
    out, err, status = run("predict.py", tmp_path / "album", *options)
    assert (err, status) == ("", 0)
    for path in (tmp_path / "album").glob("*.jpg"):
        if ".captioned" in path.name:
            text = path.with_name(path.name.replace(".captioned.jpg", ".txt")).read_text().strip()
            assert text in out
            assert text.encode() in path.read_bytes()
        else:
            assert path.with_suffix(".captioned.jpg").is_file()
            assert (tmp_path / "looked" / f"{path.stem}.png").read_bytes().startswith(b"\x89PNG")


def test_the_character_model_writes_and_scores(run, tmp_path):
    out, err, status = run("predict.py", "--prompt", "ROMEO:", "--length", "40", "--seed", "1")
    assert (out.startswith("ROMEO:\n"), err, status) == (True, "", 0)
    (tmp_path / "a.txt").write_text("To be, or not to be")
    out, _, status = run("predict.py", "--score", tmp_path / "a.txt", "--model", "char-lm")
    assert ("perplexity" in out, status) == (True, 0)
    (tmp_path / "b.txt").write_bytes("Dvo\xf8\xe1k".encode("cp1252") * 9)
    out, err, status = run("predict.py", "--score", tmp_path / "b.txt")
    assert (out, status) == ("", 1)
    assert "iconv" in err


def test_the_models_are_listed_with_what_they_need(run):
    out, err, status = run("-m", "captioner", "models")
    assert (err, status) == ("", 0)
    needs = {line.split()[0]: line.split("  ")[-1].strip() for line in out.splitlines()}
    assert needs["compact"] == needs["char-lm"] == "nothing"
    assert needs["flickr8k"].startswith("InceptionV3's weights")


def test_the_library_and_the_export_for_light_environments_work(run, tmp_path):
    code = "from captioner import Captioner; print(Captioner.load('compact')('photos/camera.jpg').text)"
    out, _, status = run("-c", code)
    assert (out.count("\n"), status) == (1, 0)
    assert (
        run("-m", "captioner", "export", "--model", "compact", "--format", "litert", "--output", tmp_path / "x")[2] == 0
    )
    assert run("predict.py", "photos/camera.jpg", "--model", tmp_path / "x")[::2] == (out, 0)


def test_the_page_captions(python, clone, environment):
    command = [python, "-m", "captioner", "serve", "--port", "0", "--model", "compact"]
    with subprocess.Popen(command, cwd=clone, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline()
            address = line.split("the page is at ")[1].split()[0]
            photo = (clone / "photos" / "camera.jpg").read_bytes()
            with urllib.request.urlopen(urllib.request.Request(f"{address}caption", photo), timeout=60) as answer:
                assert json.load(answer)["caption"].startswith("a man ")
        finally:
            server.terminate()
        _, rest = server.communicate(timeout=30)
    assert (rest, server.returncode) == ("captioner: stopped\n", 0)


@pytest.mark.data
@pytest.mark.skipif(not ENCODER, reason="CAPTIONER_ENCODER_WEIGHTS is not set")
def test_the_larger_model_is_prepared_and_chosen(run, environment):
    environment["CAPTIONER_ENCODER_WEIGHTS"] = ENCODER
    out, err, status = run("predict.py", "photos/camera.jpg")
    assert (out.startswith("a man "), status) == (True, 0)
    assert "captioning with saved_models/flickr8k" in err
    assert run("predict.py", "photos/camera.jpg") == (out, "", 0)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train.py"], "train"),
        (["train.py", "--task", "char-lm", "--text", "photos/README.md"], "train"),
        (["-m", "captioner", "evaluate", "--model", "compact", "--split", "dev"], "train"),
        (["predict.py", "photos/camera.jpg", "--model", "compact", "--backend", "keras"], "train"),
        (["-m", "captioner", "bulk", "photos", "--output", "x"], "cluster"),
        (["-m", "captioner", "export", "--model", "compact", "--output", "x"], "export"),
        (["-m", "captioner", "export", "--model", "compact", "--format", "keras", "--output", "x.keras"], "export"),
        (["-m", "captioner", "export", "--model", "compact", "--format", "onnx", "--output", "x"], "export"),
        (["-m", "captioner", "export", "--model", "char-lm", "--output", "x"], "export"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(run, clone, arguments, extra):
    out, err, status = run(*arguments)
    assert (out, status, err.count("\n")) == ("", 1, 1), err
    assert f"'.[{extra}]'" in err
    assert not list(clone.glob("x*"))
