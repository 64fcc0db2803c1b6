import csv
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from captioner.config.model import CharModelConfig
from captioner.config.recipe import plan_runs, read_recipe
from captioner.config.training import CharTrainingConfig
from captioner.data.corpus import Corpus
from captioner.errors import CaptionerError, UsageError
from captioner.metrics.likelihood import likelihood
from captioner.runtime.char_lm import LanguageModel
from captioner.training.characters import CharRun, CharTraining
from captioner.training.fitting.temperature import fit_temperature
from captioner.training.run import train
from captioner.training.stages import char_lm

KOREAN = "나랏말싸미 듕귁에 달아 문자와로 서르 사맛디 아니할쎄\r\n이런 전차로 어린 백성이 니르고져 홇 배 이셔도\r\n" * 8
MODEL = CharModelConfig("rnn", 1, 8, 6, 0.1)
TRAINING = CharTrainingConfig(epochs=2, batch_size=4, sequence_length=4, learning_rate=0.01)


@pytest.fixture
def run(tmp_path):
    return CharRun(Corpus("훈민정음", KOREAN), MODEL, TRAINING, tmp_path / "model")


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level("INFO", logger="captioner")


def test_a_run_leaves_a_model_that_works(run, caplog):
    metrics = train(CharTraining(run))
    names = [
        "README.md",
        "checkpoint",
        "config.json",
        "history.csv",
        "metrics.json",
        "training.png",
        "vocabulary.json",
        "weights.npz",
    ]
    assert sorted(path.name for path in run.output.iterdir()) == names
    assert json.loads((run.output / "metrics.json").read_text()) == metrics

    model = LanguageModel.load(run.output)
    validation = KOREAN[len(KOREAN) * 90 // 100 :]
    expected = likelihood(model.surprisals(validation))
    assert {name: metrics[name] for name in expected} == expected
    assert metrics["characters"] == len(validation)
    assert (metrics["epochs"], metrics["unknown_characters"], metrics["split"]) == (2, 0, "90/10")
    assert metrics["settings"]["cell"] == "rnn"
    assert set("".join(model.generate("나랏", 50))) <= set(KOREAN)
    told = f"{len(KOREAN) - len(validation)} characters to train on, {len(validation)} to validate"
    assert caplog.messages[0].startswith(told)

    with (run.output / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["nats_per_char"]) < float(rows[0]["nats_per_char"])
    assert (run.output / "training.png").read_bytes().startswith(b"\x89PNG")
    card = (run.output / "README.md").read_text()
    assert "\n---\n\n# model: the next character, vanilla tanh RNN, trained on 훈민정음\n" in card
    assert f"| {metrics['nats_per_char']:.4f} | {metrics['bits_per_char']:.4f} | {metrics['perplexity']:.3f} |" in card


def test_the_card_has_what_hubs_index_and_how_to_make_the_model_again(run):
    metrics = train(CharTraining(replace(run, training=replace(TRAINING, split="90/5/5"))))
    card = (run.output / "README.md").read_text()
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(card.split("---\n")[1])
    assert (found["pipeline_tag"], found["license"], found["datasets"]) == ("text-generation", "other", ["훈민정음"])
    (model,) = found["model-index"]
    values = {each["name"]: each["value"] for result in model["results"] for each in result["metrics"]}
    assert values["perplexity of a character (validation)"] == round(metrics["perplexity"], 4)
    assert values["bits a character (test)"] == round(metrics["test"]["bits_per_char"], 4)
    assert "python train.py saved_models/model/metrics.json --text FILE --output saved_models/model-again" in card
    made = metrics["versions"]
    assert made["keras"] == keras.__version__
    assert f"made with captioner {made['captioner']}, Keras {made['keras']}, TensorFlow" in " ".join(card.split())
    (again,) = plan_runs(read_recipe(run.output / "metrics.json"), {})
    assert again.task == "char-lm"
    assert again.values["hidden_size"] == 8


def test_a_finished_run_is_not_trained_again_unless_asked(run, caplog):
    metrics = train(CharTraining(run))
    caplog.clear()
    assert train(CharTraining(run)) == metrics
    assert "is finished; nothing to train" in caplog.messages[0]
    with pytest.raises(UsageError, match=r"hidden_size was 8, now 9"):
        train(CharTraining(replace(run, model=replace(MODEL, hidden_size=9))))
    with pytest.raises(UsageError, match=r"text was '.*', now '.*'"):
        train(CharTraining(replace(run, corpus=Corpus("other", KOREAN + "."))))
    again = train(CharTraining(run), resume=False)
    assert again["nats_per_char"] == metrics["nats_per_char"]


def test_a_stopped_run_goes_on_and_a_changed_one_is_refused(run, monkeypatch, caplog):
    original = char_lm.mean_loss
    measured = []

    def stopping(step, *more):
        if step.optimizer is None:
            measured.append(step)
            if len(measured) == 2:
                raise KeyboardInterrupt
        return original(step, *more)

    with monkeypatch.context() as patch:
        patch.setattr(char_lm, "mean_loss", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(CharTraining(run))
    draft = json.loads((run.output / "metrics.json").read_text())
    assert (draft["finished"], draft["epochs"], draft["best_epoch"]) == (False, 1, 1)
    assert "come to epoch 1" in (run.output / "README.md").read_text()
    with pytest.raises(UsageError, match=r"sequence_length was 4, now 9"):
        train(CharTraining(replace(run, training=replace(TRAINING, sequence_length=9))))
    metrics = train(CharTraining(run))
    assert "resuming after epoch 1 of 2" in caplog.messages
    assert metrics["epochs"] == 2
    assert "finished" not in metrics


def test_a_third_part_is_a_test_text_that_had_no_say(run):
    metrics = train(CharTraining(replace(run, training=replace(TRAINING, split="90/5/5"))))
    model = LanguageModel.load(run.output)
    assert metrics["test"] == likelihood(model.surprisals(KOREAN[len(KOREAN) * 95 // 100 :]))
    assert metrics["characters"] == len(KOREAN) * 95 // 100 - len(KOREAN) * 90 // 100
    assert "| test, " in (run.output / "README.md").read_text()


def test_the_temperature_is_fitted_on_the_beginning_of_the_training_part_and_folded_in(run, caplog):
    text = KOREAN * 12
    training = replace(TRAINING, temperature_share=0.1)
    metrics = train(CharTraining(replace(run, corpus=Corpus("text", text), training=training)))
    part = text[: len(text) * 90 // 100]
    first = part[: len(part) // 10]
    told = f"{len(part) - len(first)} characters to train on, {len(first)} to fit the temperature"
    assert caplog.messages[0].startswith(told)
    with (run.output / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert metrics["temperature"] == pytest.approx(float(rows[metrics["best_epoch"] - 1]["temperature"]))
    assert metrics["temperature"] != 1

    model = LanguageModel.load(run.output)
    tokens = model.vocabulary.encode(first).astype(int)
    read = np.concatenate([[model.vocabulary.start], tokens[:-1]])
    log_probs, _ = model.network(read[None], model.network.initial_states(1))
    assert fit_temperature(log_probs[0], tokens) == pytest.approx(1, abs=0.01)  # streams read it in the training
    assert "temperature" in (run.output / "README.md").read_text()


def test_ngrams_beside_the_characters_that_came(run, caplog):
    plain = train(CharTraining(run))
    mixed = replace(run, output=run.output.with_name("mixed"), training=replace(TRAINING, ngram_share=0.3))
    metrics = train(CharTraining(mixed))
    assert metrics["settings"]["ngram_share"] == 0.3
    assert metrics["nats_per_char"] != plain["nats_per_char"]
    assert "| `--ngram-share` | 0.3 |" in (mixed.output / "README.md").read_text()


def test_ngrams_of_a_text_that_is_too_long_are_refused_before_anything_is_written(run, monkeypatch):
    monkeypatch.setattr("captioner.training.inputs.ngram_targets.MOST_PROBABILITIES", 100)
    with pytest.raises(CaptionerError, match="--ngram-share: for texts of up to"):
        train(CharTraining(replace(run, training=replace(TRAINING, ngram_share=0.3))))
    assert not (run.output / "weights.npz").exists()


def test_what_only_the_validation_text_has_counts_as_unknown(run, caplog):
    metrics = train(CharTraining(replace(run, corpus=Corpus("text", KOREAN + "zq"))))
    assert metrics["unknown_characters"] == 2
    assert "; 2 of the validation text are not among them and count as <unk>" in caplog.messages[0]
    assert set("zq").isdisjoint(LanguageModel.load(run.output).vocabulary.tokens)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 characters, too few to split them 90/10; give a longer text"),
        ("a", "has 1 characters, too few"),
        ("abcdefghij", r"has 9 characters, fewer than one batch of 4 x 4 = 16; give a longer text, or lower"),
    ],
)
def test_a_text_too_short_is_refused_before_anything_is_written(run, text, message):
    with pytest.raises(CaptionerError, match=message):
        train(CharTraining(replace(run, corpus=Corpus("short", text))))
    assert not run.output.exists()


def test_a_text_too_short_does_not_cost_the_model_that_was_there(run):
    run.output.mkdir()
    there = ["config.json", "metrics.json", "vocabulary.json"]
    for name in there:
        (run.output / name).write_text("{}")
    with pytest.raises(CaptionerError, match="has 1 characters, too few"):
        train(CharTraining(replace(run, corpus=Corpus("short", "a"))), resume=False)
    assert sorted(path.name for path in run.output.iterdir()) == there
