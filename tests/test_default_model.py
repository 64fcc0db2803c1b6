"""Which of the shipped models captions photos when none is named."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import captioner
from captioner import encoder_network, library
from captioner.cli.main import main
from captioner.config.model import EncoderConfig, ModelConfig
from captioner.errors import CaptionerError
from captioner.library import default_model
from captioner.model_files.directory import NETWORK, CaptionerDirectory, describe
from captioner.runtime import encoder_cache
from captioner.text import Vocabulary

ROOT = Path(captioner.__file__).parents[1]


@pytest.fixture
def shipped(tmp_path, monkeypatch, no_inception) -> Path:
    """Both models, of which only the configurations are there, in the current directory; and no weights anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (library, encoder_network):
        monkeypatch.setattr(module, "shipped_model", lambda name="flickr8k": tmp_path / "saved_models" / name)
    for name, encoder in (("flickr8k", EncoderConfig()), ("compact", EncoderConfig("compact", "grid", 144))):
        describe(tmp_path / "saved_models" / name, replace(ModelConfig(), encoder=encoder), [])
    return tmp_path / "saved_models"


def chosen(weights="imagenet"):
    """The choice, and the lines that are logged about it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    library.log.addHandler(handler)
    try:
        return default_model(weights), lines
    finally:
        library.log.removeHandler(handler)


def test_without_weights_it_is_the_compact_one(shipped):
    model, (line,) = chosen()
    assert model == shipped / "compact"
    assert line == (
        "captioning with saved_models/compact, since InceptionV3's weights are not here; `python -m captioner download "
        "encoder` gets them for flickr8k, which describes photos better"
    )


def expect_large(shipped, weights="imagenet"):
    model, (line,) = chosen(weights)
    assert model == shipped / "flickr8k"
    assert line == "captioning with saved_models/flickr8k; --model compact is smaller and quicker"


def test_with_a_file_named_it_is_the_large_one(shipped):
    expect_large(shipped, "weights.h5")  # whether it is there is told later, as for any named file


def test_with_the_weights_in_the_cache_of_keras_it_is_the_large_one(shipped, no_inception, request):
    request.getfixturevalue("inception")
    expect_large(shipped)


def test_half_of_the_weights_are_none(shipped, no_inception):
    no_inception.parent.mkdir(parents=True)
    no_inception.write_bytes(b"half")
    assert chosen()[0] == shipped / "compact"


def test_with_the_network_prepared_it_is_the_large_one(shipped):
    path = encoder_cache.encoder_path(EncoderConfig(), "imagenet", "", "auto")
    encoder_cache.save_encoder(path, b"network")
    expect_large(shipped)


def test_where_there_is_one_alone_there_is_no_choice(shipped):
    (shipped / "compact" / "config.json").rename(shipped / "kept")
    assert chosen() == (shipped / "flickr8k", [])
    (shipped / "kept").rename(shipped / "compact" / "config.json")
    (shipped / "flickr8k" / "config.json").unlink()
    assert chosen() == (
        shipped / "compact",
        ["captioning with saved_models/compact, since InceptionV3's weights are not here"],
    )


def about(directory: Path) -> Path:
    return directory / "config.json"


def test_a_model_that_needs_no_weights_may_stand_in_the_place_of_the_large_one(shipped):
    compact = ROOT / "saved_models" / "compact" / "config.json"
    about(shipped / "flickr8k").write_bytes(compact.read_bytes())  # whose manifest has an encoder
    for weights in ("imagenet", "weights.h5"):
        assert chosen(weights) == (shipped / "flickr8k", ["captioning with saved_models/flickr8k"])
    about(shipped / "compact").unlink()
    assert chosen() == (shipped / "flickr8k", [])


@pytest.mark.parametrize("known", [True, False])
def test_an_export_with_its_encoder_needs_no_weights(shipped, known):
    (shipped / "flickr8k" / NETWORK).touch()
    describe(shipped / "flickr8k", ModelConfig(), [NETWORK] if known else [])
    assert chosen()[0] == shipped / ("flickr8k" if known else "compact")


@pytest.mark.parametrize("backend", ["litert", "keras"])
@pytest.mark.parametrize("compact", [True, False])
def test_the_large_one_without_weights_says_what_to_do(shipped, monkeypatch, backend, compact):
    for module in (library, encoder_network):
        monkeypatch.setattr(module, "load_keras", lambda: pytest.fail("Keras is not needed, and might download"))
    monkeypatch.setattr(CaptionerDirectory, "vocabulary", lambda self: Vocabulary.build([]))
    monkeypatch.setattr(CaptionerDirectory, "decoder", lambda self: {})
    if not compact:
        (shipped / "compact" / "config.json").unlink()
    with pytest.raises(CaptionerError, match=r"whose weights .* are not here") as error:
        library.Captioner.load(shipped / "flickr8k", backend=backend)
    for remedy in ("run `python -m captioner download encoder`", "--encoder-weights FILE", "CAPTIONER_ENCODER_WEIGHTS"):
        assert remedy in str(error.value)
    assert ("or caption with --model compact, which needs none" in str(error.value)) == compact


def test_a_model_that_is_named_is_not_commented_upon(shipped, monkeypatch, capsys, tmp_path):
    asked = []
    monkeypatch.setattr(CaptionerDirectory, "vocabulary", lambda self: asked.append(self.path) or sys.exit(9))
    (tmp_path / "photo.png").touch()
    for arguments in (["--model", "saved_models/compact"], []):
        with pytest.raises(SystemExit):
            main(["predict", "photo.png", *arguments])
    assert asked == [Path("saved_models/compact"), shipped / "compact"]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [f"captioner: {chosen()[1][0]}"]


def test_the_choice_needs_no_framework_and_no_network(shipped):
    code = """
import socket, sys
socket.socket.connect = None
from captioner import encoder_network, library
library.default_model("imagenet")
print(sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras", "jax", "http"}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
