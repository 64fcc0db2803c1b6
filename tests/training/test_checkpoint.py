import errno
import json
import os

import h5py
import keras
import numpy as np
import pytest

from captioner.errors import CaptionerError, UsageError
from captioner.training import checkpoint as checkpoint_module
from captioner.training.checkpoint import Checkpoint, Progress, refuse_changes

SETTINGS = {"hidden_size": 8, "learning_rate": 0.001, "init_from": None}


def compiled(make_network, seed):
    network = make_network(9, seed=seed)
    optimizer = keras.optimizers.AdamW(0.01, use_ema=True)
    optimizer.build(network.trainable_variables)
    network.compile(optimizer)
    return network


def step(network, seed):
    rng = np.random.default_rng(seed)
    gradients = [keras.ops.convert_to_tensor(rng.normal(size=v.shape), "float32") for v in network.trainable_variables]
    network.optimizer.apply(gradients, network.trainable_variables)


def state(network):
    values = [*network.weights, *network.optimizer.variables]
    return [value.numpy().copy() for value in values]


def assert_same(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def trained(make_network, tmp_path):
    """A network after two steps, its checkpoint after epoch 2, whose best epoch was the first, and the best weights."""
    network, checkpoint = compiled(make_network, seed=1), Checkpoint(tmp_path / "checkpoint", dict(SETTINGS))
    step(network, 1)
    scored = make_network(9, seed=3)
    checkpoint.save(network, scored, Progress(1, 1, [{"epoch": 1}]))
    best = scored.get_weights()
    step(network, 2)
    checkpoint.save(network, None, Progress(2, 1, [{"epoch": 1}, {"epoch": 2}]))
    return network, checkpoint, best


def test_without_a_checkpoint_a_run_starts_afresh(make_network, tmp_path):
    network = compiled(make_network, seed=1)
    before = state(network)
    progress = Checkpoint(tmp_path / "none", SETTINGS).resume(network)
    assert progress == Progress(0, 0, [])
    assert_same(state(network), before)


def test_resume_brings_back_weights_optimiser_and_progress(trained, make_network):
    network, checkpoint, best = trained
    fresh = compiled(make_network, seed=2)
    progress = Checkpoint(checkpoint.directory, dict(SETTINGS)).resume(fresh)
    assert progress == Progress(2, 1, [{"epoch": 1}, {"epoch": 2}])
    assert_same(state(fresh), state(network))
    step(network, 3)
    step(fresh, 3)
    assert_same(state(fresh), state(network))
    scored = make_network(9, seed=2)
    checkpoint.load_best(scored, progress)
    assert_same(scored.get_weights(), best)


def test_the_best_weights_are_saved_without_an_optimiser(trained):
    _, checkpoint, _ = trained
    for name, expected in (("last-0002", True), ("best-0001", False)):
        with h5py.File(checkpoint.directory / f"{name}.weights.h5") as file:
            assert ("optimizer" in file) is expected


def test_only_the_last_and_the_best_are_kept(trained):
    _, checkpoint, _ = trained
    names = sorted(path.name for path in checkpoint.directory.iterdir())
    assert names == ["best-0001.weights.h5", "last-0002.weights.h5", "progress.json"]


@pytest.mark.parametrize("name", ["hidden_size", "learning_rate", "init_from"])
def test_changed_settings_are_refused_by_name(trained, make_network, name):
    _, checkpoint, _ = trained
    changed = Checkpoint(checkpoint.directory, SETTINGS | {name: "other"})
    with pytest.raises(UsageError, match=rf"{name} was .*, now 'other'.*--no-resume") as caught:
        changed.resume(compiled(make_network, seed=2))
    assert caught.value.exit_status == 2
    assert not any(other in str(caught.value) for other in SETTINGS if other != name)


def test_a_later_stage_has_the_same_settings_and_names_the_run(trained, make_network, tmp_path):
    network, checkpoint, _ = trained
    checkpoint.stage("second").save(network, None, Progress(1, 0))
    assert checkpoint.stage("second").resume(compiled(make_network, seed=2)).epoch == 1
    changed = Checkpoint(checkpoint.directory, SETTINGS | {"hidden_size": 9})
    with pytest.raises(UsageError, match=f"^{tmp_path} holds a run with other settings: hidden_size was 8, now 9"):
        changed.stage("second")


def test_a_setting_that_the_older_run_did_not_know_is_refused():
    with pytest.raises(UsageError, match=r"dropout was None, now 0\.4"):
        refuse_changes({}, {"dropout": 0.4}, "somewhere")
    refuse_changes({"dropout": 0.4, "gone": 1}, {"dropout": 0.4}, "somewhere")


def test_a_run_that_is_older_than_a_setting_goes_on_as_it_was_begun():
    before, now = {"self_critical_epochs": 2}, {"self_critical_epochs": 2, "self_critical_temperature": 1.0}
    refuse_changes(before, now, "somewhere")
    with pytest.raises(UsageError, match=r"self_critical_temperature was 1\.0, now 0\.5"):
        refuse_changes(before, {**now, "self_critical_temperature": 0.5}, "somewhere")
    without = {"self_critical_epochs": 0}  # the setting has no effect
    refuse_changes(without, {**without, "self_critical_temperature": 0.5}, "somewhere")


@pytest.mark.parametrize("improved", [False, True])
def test_a_kill_before_the_last_write_leaves_the_state_before(trained, make_network, monkeypatch, improved):
    network, checkpoint, best = trained
    before = state(network)

    def killed(*arguments):
        raise KeyboardInterrupt

    step(network, 3)
    best_now, progress = make_network(9, seed=4) if improved else None, Progress(3, 3 if improved else 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(network, best_now, progress)

    fresh = compiled(make_network, seed=2)
    progress = Checkpoint(checkpoint.directory, dict(SETTINGS)).resume(fresh)
    assert (progress.epoch, progress.best_epoch) == (2, 1)
    assert_same(state(fresh), before)
    scored = make_network(9, seed=2)
    checkpoint.load_best(scored, progress)
    assert_same(scored.get_weights(), best)


def test_damaged_weights_are_named(trained, make_network):
    _, checkpoint, _ = trained
    weights = checkpoint.directory / "last-0002.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CaptionerError, match=r"last-0002\.weights\.h5 is damaged; start over with --no-resume"):
        checkpoint.resume(compiled(make_network, seed=2))


@pytest.mark.parametrize("content", ["[]", "{}", '{"settings": {}, "progress": {"epochs": 1}}', '{"settings": 3}'])
def test_a_damaged_progress_file_is_named(trained, make_network, content):
    _, checkpoint, _ = trained
    (checkpoint.directory / "progress.json").write_text(content)
    with pytest.raises(CaptionerError, match=r"progress\.json.*--no-resume"):
        Checkpoint(checkpoint.directory, {}).resume(compiled(make_network, seed=2))


def test_missing_best_weights_are_named(trained, make_network):
    _, checkpoint, _ = trained
    (checkpoint.directory / "best-0001.weights.h5").unlink()
    with pytest.raises(CaptionerError, match=r"best-0001\.weights\.h5.*--no-resume"):
        checkpoint.load_best(make_network(9), Progress(2, 1))


def test_progress_is_plain_json(trained):
    _, checkpoint, _ = trained
    written = json.loads((checkpoint.directory / "progress.json").read_text())
    assert written["settings"] == SETTINGS
    assert written["progress"] == {"epoch": 2, "best_epoch": 1, "history": [{"epoch": 1}, {"epoch": 2}]}


def test_remove_forgets_everything_and_may_be_repeated(trained, make_network):
    _, checkpoint, _ = trained
    checkpoint.remove()
    checkpoint.remove()
    assert not checkpoint.directory.exists()
    assert checkpoint.resume(compiled(make_network, seed=2)).epoch == 0


@pytest.mark.needs("os.posix_fallocate")
@pytest.mark.parametrize("at_write", [1, 2])
def test_a_full_disk_is_an_os_error_and_leaves_the_state_before(trained, make_network, monkeypatch, at_write):
    network, checkpoint, _ = trained
    before, names = state(network), sorted(checkpoint.directory.iterdir())
    writes = []

    def allocate(descriptor, offset, length):
        writes.append(length)
        if len(writes) == at_write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    step(network, 3)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", allocate)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(network, make_network(9, seed=4), Progress(3, 3))
    assert not [path for path in checkpoint.directory.iterdir() if path.name.startswith(".")]
    assert set(names) <= set(checkpoint.directory.iterdir())

    fresh = compiled(make_network, seed=2)
    assert Checkpoint(checkpoint.directory, dict(SETTINGS)).resume(fresh).epoch == 2
    assert_same(state(fresh), before)


@pytest.mark.needs("os.posix_fallocate")
def test_as_much_room_is_asked_for_as_the_weights_take(trained, monkeypatch):
    network, checkpoint, _ = trained
    asked = []
    monkeypatch.setattr(os, "posix_fallocate", lambda descriptor, offset, length: asked.append(length))
    checkpoint.save(network, None, Progress(3, 1))
    size = (checkpoint.directory / "last-0003.weights.h5").stat().st_size
    assert size <= asked[0] < 3 * size


@pytest.mark.parametrize("name", ["last-0002.weights.h5", "best-0001.weights.h5", "progress.json"])
def test_a_flipped_bit_is_noticed(trained, make_network, name):
    _, checkpoint, _ = trained
    path = checkpoint.directory / name
    whole = path.read_bytes()
    draw = np.random.default_rng(4)
    network, scored = compiled(make_network, seed=2), make_network(9)

    def go_on():
        again = Checkpoint(checkpoint.directory, dict(SETTINGS))
        again.load_best(scored, again.resume(network))

    for place in draw.integers(len(whole), size=20).tolist():
        content = bytearray(whole)
        content[place] ^= 1 << int(draw.integers(8))
        if name == "progress.json":
            content[whole.index(b"best_epoch") + 13] ^= 1
        path.write_bytes(content)
        with pytest.raises(CaptionerError, match=f"{name}.*(damaged|not valid JSON)"):
            go_on()
    path.write_bytes(whole)
    go_on()


def test_settings_that_become_known_later_count_from_then_on(trained, make_network):
    network, checkpoint, _ = trained
    later = checkpoint.with_settings(encoder_weights="one")
    assert "encoder_weights" not in checkpoint.settings
    later.save(network, None, Progress(3, 1))
    assert checkpoint.progress().epoch == 3, "a run is found before they are known"
    with pytest.raises(UsageError, match="encoder_weights was 'one', now 'other'"):
        checkpoint.with_settings(encoder_weights="other").resume(compiled(make_network, seed=2))
