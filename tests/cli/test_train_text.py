import json
from types import SimpleNamespace

import pytest

from captioner.cli import train as train_module
from captioner.cli import train_text
from captioner.cli.main import main
from captioner.cli.table import likelihood_table
from captioner.cli.train_options import CAPTION_OPTIONS, make_parser
from captioner.cli.train_text import TEXT_OPTIONS
from captioner.config import CharModelConfig, CharTrainingConfig
from captioner.data.corpus import Corpus
from captioner.errors import CaptionerError, UsageError

TINY = ["--hidden-size", "6", "--embedding-dim", "4", "--layers", "1", "--epochs", "1"]
TINY += ["--sequence-length", "4", "--batch-size", "4"]
METRICS = {"characters": 6000, "nats_per_char": 1.5, "bits_per_char": 2.164, "perplexity": 4.4817}


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("once upon a time there was a fox\n" * 9)
    return path


@pytest.fixture
def trained(monkeypatch):
    """Catch the run instead of training it."""
    import captioner.training.run as run_module

    runs = []
    monkeypatch.setattr(run_module, "train", lambda training, **more: runs.append((training.config, more)) or METRICS)
    return runs


def test_arguments_become_settings(trained, text, capsys):
    argv = f"--task char-lm --text {text} --cell lstm --layers 3 --hidden-size 100 --embedding-dim 20 --dropout 0.3"
    argv += " --no-layer-norm --epochs 5 --batch-size 7 --sequence-length 30 --split 90/5/5 --learning-rate 0.01"
    argv += f" --seed 4 --precision mixed_bfloat16 --output {text.parent / 'out'} --no-resume"
    assert main(["train", *argv.split()]) == 0
    run, more = trained[0]
    assert run.corpus == Corpus("book", text.read_text())
    assert run.model == CharModelConfig("lstm", 3, 100, 20, 0.3, False)
    expected = CharTrainingConfig(5, 7, 30, "90/5/5", 0.01, precision="mixed_bfloat16", seed=4)
    assert run.training == expected
    assert run.output == text.parent / "out"
    assert more["resume"] is False
    assert capsys.readouterr().out == likelihood_table(METRICS) + "\n"


def test_without_arguments_the_defaults_stand(trained, text):
    from captioner.training.precision import choose_precision

    assert main(["train", "--task", "char-lm", "--text", str(text)]) == 0
    run, more = trained[0]
    defaults = CharTrainingConfig(precision=choose_precision("auto"))
    assert (run.model, run.training) == (CharModelConfig(), defaults)
    assert str(run.output).endswith("book-rnn")
    assert more["resume"] is True


def test_a_language_model_is_trained_for_an_epoch_at_least(trained, text, capsys):
    assert main(["train", "--task", "char-lm", "--text", str(text), "--epochs", "0"]) == 2
    assert "--epochs: expected a value from 1 to 100000, found 0" in capsys.readouterr().err
    assert not trained


VALUES = {
    "recurrent_dropout": "0.5",
    "split": "90/10",
    "feature_layer": "mixed3",
    "network": "compact",
    "image_size": "144",
    "distillation": "0.5",
    "bleu_weight": "0.5",
    "strategy": "auto",
}
"""What the options are given that do not take a 3."""


@pytest.mark.parametrize(
    ("task", "name"), [*(("caption", name) for name in TEXT_OPTIONS), *(("char-lm", name) for name in CAPTION_OPTIONS)]
)
def test_options_of_the_other_task_are_wrong_usage(task, name, capsys, monkeypatch):
    monkeypatch.setattr(train_module, "configure", lambda arguments: pytest.fail("it began to train"))
    option = "--encoder" if name == "network" else f"--{name.replace('_', '-')}"
    value = [] if name == "layer_norm" else [VALUES.get(name, "3")]
    assert main(["train", "--task", task, option, *value]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"captioner: {option}: only for --task ")
    assert f"not for --task {task}" in error


def test_all_options_of_the_other_task_are_named(capsys):
    assert main(["train", "--layers", "2", "--split", "90/10", "--epochs", "3"]) == 2
    assert "--layers, --split: only for --task char-lm" in capsys.readouterr().err


def test_help_tells_both_defaults_and_has_a_group(capsys):
    with pytest.raises(SystemExit):
        make_parser("train").parse_args(["--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert "character language model (--task char-lm):" in help_text
    assert "(default: 32; char-lm: 64; compact with --teacher: 32, alone: 64)" in help_text
    assert "units of the recurrent state (default: 512)" in help_text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "is UTF-16, expected UTF-8"),
        (b"caf\xe9", "is not UTF-8 (byte 0xe9 at position 3)"),
        (
            b"too short",
            "has 8 characters, fewer than one batch of 4 x 4 = 16; give a longer text, or lower --batch-size",
        ),
        (b"", "has 0 characters"),
    ],
)
def test_a_text_that_cannot_be_learnt_is_refused(tmp_path, capsys, content, message):
    (tmp_path / "bad.txt").write_bytes(content)
    argv = ["--task", "char-lm", "--text", str(tmp_path / "bad.txt"), "--output", str(tmp_path / "out"), *TINY]
    assert main(["train", *argv]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_text_and_a_data_set_are_one_too_many(text, capsys):
    assert main(["train", "--task", "char-lm", "--text", str(text), "--data", str(text.parent)]) == 2
    assert "--text and --data both name" in capsys.readouterr().err


def test_from_text_to_generated_text(text, tmp_path, capsys):
    """The two commands as a user types them."""
    output = str(tmp_path / "model")
    assert main(["train", "--task", "char-lm", "--text", str(text), "--output", output, "--profile", *TINY]) == 0
    out, err = capsys.readouterr()
    profile = (tmp_path / "model" / "profile.md").read_text()
    assert "| train: compile |" in profile
    assert profile.partition("\n\n")[2] in err
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert out == likelihood_table(metrics) + "\n"
    assert "epoch 1/1" in err
    assert main(["predict", "--model", output, "--prompt", "once", "--length", "20"]) == 0
    assert capsys.readouterr().out.startswith("once")
    assert main(["predict", "--model", output, "--score", str(text), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["characters"] == 9 * 33


class TestWithoutText:
    ARGUMENTS = SimpleNamespace(text=None, data=None, data_format="auto")

    def test_captions_come_first(self, monkeypatch, caplog):
        captions = Corpus("flickr8k-captions", "a dog .\n")
        monkeypatch.setattr(train_text, "find_captions", lambda data, data_format: captions)
        with caplog.at_level("INFO", logger="captioner"):
            assert train_text._find_corpus(self.ARGUMENTS) == captions
        assert caplog.messages == ["no --text was given; using flickr8k-captions, 8 characters"]

    def test_else_shakespeare_is_downloaded_and_verified(self, monkeypatch, tmp_path):
        import keras

        (tmp_path / "downloaded.txt").write_text("First Citizen:")
        asked = []

        def get_file(name, url, **checks):
            print("Downloading data")
            asked.append((url, checks))
            return str(tmp_path / "downloaded.txt")

        monkeypatch.setattr(keras.utils, "get_file", get_file)
        monkeypatch.setattr(train_text, "find_captions", lambda *arguments: None)
        found = train_text._find_corpus(self.ARGUMENTS)
        assert found == Corpus("tinyshakespeare", "First Citizen:")
        ((url, checks),) = asked
        assert url.endswith("tinyshakespeare/input.txt")
        assert (checks["hash_algorithm"], len(checks["file_hash"])) == ("sha256", 64)

    def test_the_download_is_not_told_on_stdout(self, monkeypatch, tmp_path, capsys):
        self.test_else_shakespeare_is_downloaded_and_verified(monkeypatch, tmp_path)
        out, err = capsys.readouterr()
        assert out == ""
        assert "Downloading data" in err

    def test_without_a_network_the_remedy_is_named(self, monkeypatch):
        import keras

        def get_file(*arguments, **more):
            raise OSError("no route to host")

        monkeypatch.setattr(keras.utils, "get_file", get_file)
        monkeypatch.setattr(train_text, "find_captions", lambda *arguments: None)
        with pytest.raises(CaptionerError, match=r"could not be downloaded.*no route to host.*--text FILE") as caught:
            train_text._find_corpus(self.ARGUMENTS)
        assert not isinstance(caught.value, UsageError)


def test_figures_as_a_table():
    lines = likelihood_table(METRICS).split("\n")
    assert lines[0].split() == ["characters", "nats/char", "bits/char", "perplexity"]
    assert lines[1].split() == ["validation", "6000", "1.5000", "2.1640", "4.482"]
    assert len(lines) == 2
    assert len(lines[0]) == len(lines[1])
    assert likelihood_table(METRICS | {"test": METRICS}).split("\n")[2].split()[:2] == ["test", "6000"]
