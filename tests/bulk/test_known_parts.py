"""Two runs into one object store, which has no locks: a folder stands for it, and a worker in this process for Ray."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest

pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from captioner.bulk import known_parts, run, storage
from captioner.bulk.cluster import MEND, Found
from captioner.bulk.inputs import Inputs
from captioner.bulk.output import PLAN, Output
from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage
from captioner.bulk.tally import Tally
from captioner.bulk.worker import Worker
from captioner.errors import CaptionerError, UsageError

STORE = "s3://museum/captions"
SETTINGS = {"format": "json", "num_captions": 1}


@pytest.fixture(autouse=True)
def bucket(tmp_path, monkeypatch):
    """A folder in the place of the store, reached as a store is; returns the folder of `STORE`."""
    (tmp_path / "museum").mkdir()
    store = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    monkeypatch.setattr(storage, "_file_system", lambda server, options: (store, server.partition("://")[2]))
    return tmp_path / "museum" / "captions"


@pytest.fixture
def between(monkeypatch, captioner) -> list[Callable[[], object]]:
    """What happens between two blocks of the next run, once each; that run captions in this process."""
    actions: list[Callable[[], object]] = []

    def caption(tasks, plan, model, photos, output, cores) -> Iterator[Found]:
        for begin, end in tasks:
            try:
                for line, block in plan.read(begin, end):
                    yield Found(line, Worker(captioner, photos, output)(block), "worker", 0.0, 0.0, "")
            except CaptionerError as error:
                yield Found(begin, Tally(), "worker", 0.0, 0.0, str(error))
            except FileNotFoundError as error:
                yield Found(begin, Tally(), "worker", 0.0, 0.0, f"{error}; {MEND}")
            if actions:
                actions.pop(0)()

    monkeypatch.setattr(run, "caption", caption)
    monkeypatch.setattr(run, "cluster", lambda address: nullcontext(1))
    monkeypatch.setattr("captioner.bulk.plan.PHOTOS_A_BLOCK", 1)
    monkeypatch.setattr("ray.put", lambda model: model)
    return actions


def bulk(*places, settings=SETTINGS, overwrite=False) -> run.Summary:
    inputs = Inputs([str(place) for place in places], Storage(), "", STORE, pytest.fail)
    watch = lambda photos: lambda done: None  # noqa: E731
    return run.bulk(run.Job(inputs, store(), settings, overwrite), lambda: None, watch)


def store() -> Output:
    return Output(STORE, Storage(), "json")


def paths() -> list[str]:
    return sorted(path for part in store().paths() for path in part)


@pytest.fixture
def folders(photos):
    """Two folders of the same photos, those in `b` under longer names."""
    (photos / "a" / "broken.jpg").unlink()
    return photos / "a", photos / "b"


def expected(*folders) -> list[str]:
    return sorted(str(path) for folder in folders for path in folder.rglob("*.png"))


@pytest.mark.usefixtures("between")
def test_one_run_after_the_other_adds_its_photos(folders, bucket):
    assert [bulk(folder).tally.good for folder in folders] == [3, 4]
    assert paths() == expected(*folders)
    assert bulk(*folders).held == 7
    assert {path.name.partition("-")[0] for path in bucket.iterdir()} == {"_captioner.json", "part"}


@pytest.mark.parametrize("pause", [0.0, 60.0])
def test_a_part_of_another_run_ends_a_run_and_no_row_is_lost(folders, between, monkeypatch, pause):
    """At the next block where it is time to look, else at the end."""
    monkeypatch.setattr(known_parts, "PAUSE", pause)
    monkeypatch.setattr(known_parts, "SHARE", float("inf"))
    first, other = folders
    foreign = Block(0, (str(next(other.rglob("*.png"))),))
    between.append(lambda: Worker(None, Storage(), store()).output.write(foreign, []))
    with pytest.raises(CaptionerError, match=rf"{foreign.name}\.jsonl: another run has written this to the same fold"):
        bulk(first)
    assert len(paths()) == (2 if pause == 0 else 3)
    bulk(first)
    assert paths() == expected(first)


def test_a_second_run_that_begins_meanwhile_ends_the_first_and_both_go_on_later(folders, between):
    first, other = folders
    between.append(lambda: bulk(other))
    with pytest.raises(CaptionerError, match=MEND):
        bulk(first)
    bulk(first)
    assert paths() == expected(*folders)


def test_a_second_run_with_the_same_photos_takes_over(folders, between):
    first, _ = folders
    between.append(lambda: bulk(first))
    with pytest.raises(CaptionerError, match=MEND):
        bulk(first)
    assert paths() == expected(first)


def test_the_plan_of_another_run_is_never_taken_for_ones_own_nor_removed(folders, between, bucket):
    """The other's lines are as long as one's own, and so begin at the same places."""
    first, _ = folders
    mine = []

    def replace():
        mine.append((bucket / PLAN).read_bytes())
        (bucket / PLAN).write_bytes(mine[0].replace(mine[0][:16], b"0123456789abcdef"))

    between.append(replace)
    with pytest.raises(CaptionerError, match="another run writes to the same folder"):
        bulk(first)
    assert (bucket / PLAN).read_bytes().count(b"0123456789abcdef") == 3
    assert len(paths()) == 1
    assert bulk(first).held == 1
    assert not (bucket / PLAN).exists()


def test_parts_that_another_run_removes_are_missed(folders, between, bucket):
    between.append(lambda: next(bucket.glob("part-*")).unlink())
    with pytest.raises(CaptionerError, match=r"captions: 1 parts have gone since they were written"):
        bulk(folders[0])
    bulk(folders[0])
    assert paths() == expected(folders[0])


def test_settings_that_another_run_replaces_are_told(folders, between, bucket):
    between.append(lambda: (bucket / "_captioner.json").write_text(json.dumps({**SETTINGS, "num_captions": 3})))
    with pytest.raises(UsageError, match="num_captions was 3, now 1"):
        bulk(folders[0])


def test_overwrite_knows_none_of_the_parts_that_it_removes(folders, between):
    bulk(folders[1])
    assert bulk(folders[0], overwrite=True).tally.good == 3
    assert paths() == expected(folders[0])


def test_a_url_of_a_local_folder_is_locked(tmp_path):
    output = Output(f"file://{tmp_path}/out", Storage(), "json")
    with output.alone(), pytest.raises(UsageError, match="another bulk run is writing there"), output.alone():
        pytest.fail("it was not refused")
