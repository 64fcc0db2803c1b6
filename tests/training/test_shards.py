import subprocess
import sys

import pytest
import tensorflow as tf

from captioner.training import devices, shards

CORES = "import os; os.sched_getaffinity = lambda process: set(range({cores}));"


@pytest.fixture
def machine(monkeypatch):
    """Returns a function that pretends to a number of cores and of accelerators."""

    def pretend(cores, accelerators=0):
        monkeypatch.setattr(devices, "available_cores", lambda: cores)
        monkeypatch.setattr(devices.tf.config, "get_visible_devices", lambda kind: ["GPU"] * accelerators)

    return pretend


@pytest.mark.parametrize(("cores", "accelerators", "count"), [(1, 0, 1), (2, 0, 2), (4, 0, 4), (16, 0, 4), (16, 1, 1)])
def test_a_part_a_core_up_to_four_and_one_beside_an_accelerator(machine, cores, accelerators, count):
    machine(cores, accelerators)
    assert devices.shard_count() == count


@pytest.mark.parametrize(
    ("batch_size", "bounds"),
    [
        (8, [(0, 2), (2, 4), (4, 6), (6, 8)]),
        (7, [(0, 1), (1, 3), (3, 5), (5, 7)]),
        (2, [(0, 0), (0, 1), (1, 1), (1, 2)]),
        (0, [(0, 0)] * 4),
    ],
)
def test_the_parts_are_contiguous_and_cover_the_batch(machine, batch_size, bounds):
    machine(4)
    assert list(shards.shard_bounds(batch_size)) == bounds


@pytest.mark.parametrize(("cores", "threads"), [(2, 1), pytest.param(8, 2, marks=pytest.mark.long)])
def test_an_operation_gets_the_cores_that_its_part_has(cores, threads):
    code = CORES.format(cores=cores) + (
        "import tensorflow as tf; from captioner.training.devices import give_each_shard_its_core as give;"
        "give(); print(tf.config.threading.get_intra_op_parallelism_threads()); tf.constant(1) + 1; give()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{threads}\n"), done.stderr


def test_active_sentences_by_hand():
    tokens = [[[1, 5, 6, 7], [1, 5, 0, 0], [0, 0, 0, 0]], [[1, 5, 6, 0], [1, 5, 6, 0], [1, 0, 0, 0]]]
    assert shards.active_sentences(tf.constant(tokens)).numpy().tolist() == [3, 2, 2, 1]
    assert shards.active_sentences(tf.zeros((2, 3, 2), tf.int32)).numpy().tolist() == [1, 1]
    assert shards.active_sentences(tf.zeros((0, 3, 2), tf.int32)).numpy().tolist() == [1, 1]
