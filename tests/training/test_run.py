import pytest

from captioner.errors import CaptionerError, UsageError
from captioner.files import write_json
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
    with pytest.raises(CaptionerError, match=r"metrics\.json does not tell what was trained"):
        train(NoStages(tmp_path))


def test_a_checkpoint_that_a_kill_has_left_beside_the_finished_model_goes(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    write_json(tmp_path / "metrics.json", {"settings": SETTINGS})
    with pytest.raises(UsageError):
        train(NoStages(tmp_path, {"hidden_size": 9}))
    assert (tmp_path / "checkpoint").exists()
    train(NoStages(tmp_path))
    assert not (tmp_path / "checkpoint").exists()


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
