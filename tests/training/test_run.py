import contextlib

import pytest
import tensorflow as tf

from captioner.errors import CaptionerError, UsageError
from captioner.system.files import write_json
from captioner.training.checkpoint import Progress
from captioner.training.profile import Profile
from captioner.training.run import Training, TrainingRun, train

SETTINGS = {"hidden_size": 8}


class NoStages(Training):
    """A training without a stage, which counts how often it is finished; its input can be wrong."""

    later_stages = ("second",)

    def __init__(self, output, settings=SETTINGS, wrong=False):
        self.output, self._settings, self._wrong = output, settings, wrong
        self.finished = 0

    def settings(self):
        return self._settings

    def check(self):
        if self._wrong:
            raise CaptionerError("no split")

    def stages(self, run):
        yield from ()

    def progress(self, histories):
        return histories.get("", Progress())

    def save_draft(self, stage):
        raise NotImplementedError

    def write_epochs(self, progress):
        raise NotImplementedError

    def finish(self, run):
        self.finished += 1
        return {"cider": 50.0, "settings": self._settings}


def test_a_finished_run_is_not_repeated(tmp_path, caplog):
    caplog.set_level("INFO", "captioner")
    training = NoStages(tmp_path / "out")
    metrics = train(training)
    assert metrics["cider"] == 50.0
    assert train(training) == metrics
    assert training.finished == 1
    assert caplog.messages[-1] == f"{tmp_path / 'out'} is finished; nothing to train (--no-resume trains it again)"
    train(training, resume=False)
    assert training.finished == 2


@pytest.mark.parametrize("resume", [True, False])
def test_wrong_input_is_refused_before_anything_is_written(tmp_path, resume):
    with pytest.raises(CaptionerError, match="no split"):
        train(NoStages(tmp_path / "out", wrong=True), resume=resume)
    assert not (tmp_path / "out").exists()


def test_wrong_input_costs_no_finished_model(tmp_path):
    metrics = train(NoStages(tmp_path))
    wrong = NoStages(tmp_path, wrong=True)
    with pytest.raises(CaptionerError, match="no split"):
        train(wrong, resume=False)
    assert train(wrong) == metrics  # what is finished is not checked again


def test_other_settings_are_refused_by_name(tmp_path):
    train(NoStages(tmp_path))
    with pytest.raises(UsageError, match=r"hidden_size was 8, now 9"):
        train(NoStages(tmp_path, {"hidden_size": 9}))


def test_metrics_that_do_not_tell_what_was_trained_are_named(tmp_path):
    write_json(tmp_path / "metrics.json", {"cider": 50.0})
    with pytest.raises(CaptionerError, match=r"metrics\.json does not say what was trained"):
        train(NoStages(tmp_path))


def test_a_finished_run_goes_on_with_another_schedule_from_its_checkpoint(tmp_path, make_network, caplog):
    caplog.set_level("INFO", "captioner")
    settings = SETTINGS | {"epochs": 2, "patience": 5}
    training = NoStages(tmp_path, settings)
    train(training)
    more = NoStages(tmp_path, settings | {"epochs": 4})
    with pytest.raises(UsageError, match=r"epochs was 2, now 4, but its checkpoint is gone.*--init-from"):
        train(more)

    network = make_network(9)
    network.compile("adam")
    run = TrainingRun(NoStages(tmp_path, settings), resume=False, profile=Profile())
    run.checkpoint.save(network, network, Progress(2, 1, [{"epoch": 1}, {"epoch": 2}]))
    train(training)
    assert train(more)["settings"]["epochs"] == 4
    assert any(line.startswith("epochs was 2, now 4: the learning rate follows") for line in caplog.messages)
    caplog.clear()
    train(more)
    assert caplog.messages == [f"{tmp_path} is finished; nothing to train (--no-resume trains it again)"]


def test_the_schedule_stays_once_a_later_stage_has_begun(tmp_path, make_network):
    settings = SETTINGS | {"epochs": 2}
    run = TrainingRun(NoStages(tmp_path, settings), resume=True, profile=Profile())
    network = make_network(9)
    network.compile("adam")
    for checkpoint in (run.checkpoint, run.checkpoint.stage("second")):
        checkpoint.save(network, network, Progress(1, 1, [{"epoch": 1}]))
    with pytest.raises(UsageError, match=r"epochs was 2, now 4, but second has already started"):
        TrainingRun(NoStages(tmp_path, settings | {"epochs": 4}), resume=True, profile=Profile())


def test_a_run_that_was_killed_is_told_of_by_the_next(tmp_path, caplog):
    training = NoStages(tmp_path)
    run = TrainingRun(training, resume=True, profile=Profile())
    with contextlib.suppress(KeyboardInterrupt), run.checkpoint.in_use():
        raise KeyboardInterrupt
    train(training)
    assert "killed" not in caplog.text
    (tmp_path / "checkpoint" / "running").touch()  # as SIGKILL leaves it
    train(training, resume=False)
    assert "killed" not in caplog.text
    (tmp_path / "checkpoint" / "running").touch()
    (tmp_path / "metrics.json").unlink()
    train(training)
    assert "the previous training was killed before it had finished" in caplog.text
    assert "--batch-size" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")])
def test_too_little_memory_says_what_to_lower(tmp_path, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(NoStages, "finish", fail)
    with pytest.raises(CaptionerError, match="not enough memory for this training; lower --batch-size"):
        train(NoStages(tmp_path))


def test_a_stage_that_was_begun_with_other_settings_is_refused_before_the_work(tmp_path, make_network):
    run = TrainingRun(NoStages(tmp_path), resume=True, profile=Profile())
    network = make_network(9)
    network.compile("adam")
    run.checkpoint.stage("second").save(network, None, Progress(1, 0))
    with pytest.raises(UsageError, match="hidden_size was 8, now 9"):
        TrainingRun(NoStages(tmp_path, {"hidden_size": 9}), resume=True, profile=Profile())


def test_a_library_user_sees_nothing(tmp_path, capfd):
    train(NoStages(tmp_path))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["README.md", "config.json", "training.png", "history.csv"])
def test_files_that_no_training_wrote_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} is there, no training wrote it, and it would be replaced"):
        train(NoStages(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_directory_with_other_files_takes_a_training(tmp_path):
    (tmp_path / "log.txt").write_text("mine")
    metrics = train(NoStages(tmp_path))
    assert train(NoStages(tmp_path), resume=False).keys() == metrics.keys()  # its own files are replaced
    assert (tmp_path / "log.txt").read_text() == "mine"
