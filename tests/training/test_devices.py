"""What is chosen for GPUs, with a list of devices that are not there."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from captioner.training import devices
from captioner.training.devices import compute_capabilities, describe_devices, prepare_devices, shard_count
from captioner.training.inputs import features
from captioner.training.inputs.features import _FeatureMaker

DETAILS = {"a": {"device_name": "NVIDIA A", "compute_capability": (9, 0)}, "b": {"device_name": "B"}}


@pytest.fixture
def machine(monkeypatch):
    """A machine with GPUs "a" and "b", whose settings are written down."""
    state = SimpleNamespace(gpus=["a", "b"], visible=["a", "b"], growing=[], cores=8)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(state.gpus))
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: list(state.visible))
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpus, kind: setattr(state, "visible", gpus))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: state.growing.append((gpu, on)))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", DETAILS.get)
    for module in (devices, features):
        monkeypatch.setattr(module, "available_cores", lambda: state.cores)
    monkeypatch.setattr(devices, "give_each_shard_its_core", lambda: None)
    return state


def test_one_gpu_is_used_unless_all_are_asked_for(machine):
    prepare_devices("auto")
    assert (machine.visible, machine.growing) == (["a"], [("a", True)])
    assert compute_capabilities() == [(9, 0)]
    assert describe_devices() == "NVIDIA A"


def test_mirrored_uses_all(machine):
    prepare_devices("mirrored")
    assert (machine.visible, machine.growing) == (["a", "b"], [("a", True), ("b", True)])
    assert compute_capabilities() == [(9, 0), (0, 0)]


def test_where_tensorflow_has_run_nothing_changes(machine, monkeypatch):
    def refuse(*_):
        raise RuntimeError("cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    prepare_devices("auto")
    assert machine.visible == ["a", "b"]


@pytest.mark.parametrize(("visible", "threads", "shards"), [(["a"], 8, 1), ([], 4, 4)])
def test_all_cores_open_photos_while_a_gpu_reads_them(machine, monkeypatch, visible, threads, shards):
    machine.visible = visible
    assert shard_count() == shards
    encoder = SimpleNamespace(input_shape=(None, 75, 75, 3))
    views = SimpleNamespace(boxes=SimpleNamespace(shape=(1, 1, 4)))
    with _FeatureMaker([], views, encoder, "mixed8") as maker:
        assert maker.threads == threads
