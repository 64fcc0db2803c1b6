import json
from pathlib import Path

import pytest

from captioner.cli import train_text
from captioner.cli.main import main
from captioner.cli.table import likelihood_table
from captioner.cli.train_options import make_parser
from captioner.config.groups import CAPTION, CHAR_LM
from captioner.config.model import CharModelConfig
from captioner.config.options import flags
from captioner.config.training import CharTrainingConfig, task_settings
from captioner.data.corpus import Corpus
from captioner.errors import CaptionerError, UsageError
from captioner.training import start

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
    expected = CharTrainingConfig(5, 7, 30, "90/5/5", learning_rate=0.01, precision="mixed_bfloat16", seed=4)
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


def value_of(about) -> list[str]:
    """Return what an option is given so that its value is allowed."""
    if about.type is bool:
        return []
    if choices := about.metadata.get("choices"):
        return [choices[-1]]
    return [str(about.metadata["ge"])] if "ge" in about.metadata else ["some/where"]


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (task, name)
        for task, other in ((CAPTION, CHAR_LM), (CHAR_LM, CAPTION))
        for name in task_settings(other)
        if name not in task_settings(task)
    ],
)
def test_options_of_the_other_task_are_wrong_usage(task, name, capsys, monkeypatch):
    monkeypatch.setattr(start, "configure", lambda run: pytest.fail("it began to train"))
    monkeypatch.setattr(train_text, "find_corpus", lambda *arguments: pytest.fail("it began to train"))
    option, about = flags([name]), {**task_settings(CAPTION), **task_settings(CHAR_LM)}[name]
    assert main(["train", "--task", task, option, *value_of(about)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"captioner: {option}: only for --task ")
    assert f"not for --task {task}" in error


def test_weights_of_an_encoder_are_not_for_a_text(text, capsys):
    assert main(["train", "--task", "char-lm", "--text", str(text), "--encoder-weights", "weights.h5"]) == 2
    assert "--encoder-weights: not for --task char-lm" in capsys.readouterr().err


def test_all_options_of_the_other_task_are_named(capsys):
    assert main(["train", "--layers", "2", "--split", "90/10", "--epochs", "3"]) == 2
    assert "--layers, --split: only for --task char-lm" in capsys.readouterr().err


def test_help_tells_the_defaults_of_both_tasks(capsys):
    with pytest.raises(SystemExit):
        make_parser("train").parse_args(["--help-all"])
    help_text = " ".join(capsys.readouterr().out.split())
    fewer = "32; fewer, at least 4, where there are few photos"
    assert f"(default: {fewer}; char-lm: 64; compact without --teacher: 64)" in help_text
    assert "units of the recurrent state (U) (default: 512)" in help_text
    assert "(default: 0.001; char-lm: 0.002; compact with --teacher: 0.0003; with --init-from: 0.0002)" in help_text


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
    NOTHING = (None, None, "auto")

    def test_captions_come_first(self, monkeypatch, caplog):
        captions = Corpus("flickr8k-captions", "a dog .\n")
        monkeypatch.setattr(train_text, "find_captions", lambda data, data_format: captions)
        caplog.set_level("INFO", logger="captioner")
        assert train_text.find_corpus(*self.NOTHING) == captions
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
        found = train_text.find_corpus(*self.NOTHING)
        assert found == Corpus("tinyshakespeare", "First Citizen:")
        monkeypatch.chdir(tmp_path)
        assert train_text.find_corpus(Path("tinyshakespeare"), None, "auto") == found
        (url, checks), _ = asked
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
            train_text.find_corpus(*self.NOTHING)
        assert not isinstance(caught.value, UsageError)


def test_figures_as_a_table():
    lines = likelihood_table(METRICS).split("\n")
    assert lines[0].split() == ["characters", "nats/char", "bits/char", "perplexity"]
    assert lines[1].split() == ["validation", "6000", "1.5000", "2.1640", "4.482"]
    assert len(lines) == 2
    assert len(lines[0]) == len(lines[1])
    assert likelihood_table(METRICS | {"test": METRICS}).split("\n")[2].split()[:2] == ["test", "6000"]
