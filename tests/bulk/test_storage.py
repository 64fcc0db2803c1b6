import sys

import pytest

pyarrow = pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

from pyarrow.fs import FileType

from captioner.bulk.storage import Storage, is_url, reason
from captioner.bulk.tally import Tally
from captioner.errors import CaptionerError


@pytest.mark.parametrize(
    ("typed", "options", "place"),
    [
        ("photos", "", "photos"),
        ("what?a=b", "", "what?a=b"),
        ("s3://museum/photos", "", "s3://museum/photos"),
        ("s3://museum/photos?region=eu-central-1&scheme=http", "region=eu-central-1&scheme=http", "s3://museum/photos"),
        ("s3://museum/why?", "", "s3://museum/why?"),
    ],
)
def test_options_stand_behind_a_url(typed, options, place):
    storage, found = Storage.parse(typed)
    assert (storage.options, found) == (options, place)


def test_a_drive_is_no_url():
    assert is_url("s3://a/b")
    assert not is_url("C://a/b")


@pytest.mark.parametrize("url", [False, True])
def test_a_file_is_written_whole_read_listed_and_removed(tmp_path, url):
    place = f"file://{tmp_path}/new" if url else str(tmp_path / "new")
    storage = Storage()
    assert storage.names(place) == []
    storage.write(f"{place}/a 100%#.txt", b"one")
    storage.write(f"{place}/a 100%#.txt", b"two")
    assert (tmp_path / "new" / "a 100%#.txt").read_bytes() == b"two" == storage.read(f"{place}/a 100%#.txt")
    assert storage.names(place) == ["a 100%#.txt"]
    assert storage.kind(place) is FileType.Directory
    storage.remove(f"{place}/a 100%#.txt")
    storage.remove(f"{place}/a 100%#.txt")
    assert storage.kind(f"{place}/a 100%#.txt") is FileType.NotFound


def test_two_names_of_a_place_are_the_same():
    storage = Storage(base="/here")
    assert storage.same("out", "/here/./out/")
    assert storage.same("s3://a/out", "s3://a/out/")
    assert storage.same("out", "file:///here/out")
    assert not storage.same("out", "s3://a/out")
    assert not storage.same("out", "other")


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    def stop():
        with Storage().writing(str(tmp_path / "file")) as file:
            file.write(b"half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_relative_paths_begin_where_the_run_did(tmp_path):
    (tmp_path / "a").write_bytes(b"here")
    assert Storage(base=str(tmp_path)).read("a") == b"here"


@pytest.mark.parametrize("url", [False, True])
def test_a_walk_goes_through_all_folders_in_one_order(tmp_path, url):
    for name in ("b/2.jpg", "b/10.jpg", "a.jpg", "c/d/1.jpg", ".hidden/1.jpg", "out/part", "b/.hidden.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = f"file://{tmp_path}" if url else str(tmp_path)
    complaints = []
    found = list(Storage().walk(root, f"{root}/out", complaints.append))
    assert [name.removeprefix(f"{root}/") for name in found] == ["a.jpg", "b/10.jpg", "b/2.jpg", "c/d/1.jpg"]
    assert complaints == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
@pytest.mark.parametrize("url", [False, True])
def test_linked_folders_are_followed_once_each(tmp_path, url):
    for name in ("photos/c/1.jpg", "photos/z.jpg", "far/2.jpg", "far/deep/3.jpg", "out/part.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for link, target in (("a", "far"), ("b", "far/deep"), ("c/loop", "photos"), ("c/out", "out"), ("d", "photos/c")):
        (tmp_path / "photos" / link).symlink_to(tmp_path / target)
    (tmp_path / "far" / "deep" / "back").symlink_to(tmp_path / "far")
    root = f"file://{tmp_path}/photos" if url else f"{tmp_path}/photos"
    complaints = []
    found = list(Storage().walk(root, f"{root}/c/out", complaints.append))
    assert [name.removeprefix(f"{root}/") for name in found] == ["c/1.jpg", "z.jpg", "a/2.jpg", "a/deep/3.jpg"]
    assert complaints == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_a_link_that_leads_to_itself_costs_no_other_photo(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    complaints = []
    found = list(Storage().walk(str(tmp_path), "", complaints.append))
    assert (found, complaints) == ([f"{tmp_path}/a.jpg", f"{tmp_path}/self.jpg"], [])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "When reading information for key 'a.png' in bucket 'b': AWS Error ACCESS_DENIED during HeadObject "
            "operation: No response body.",
            "the object store answers ACCESS_DENIED to HeadObject (No response body.); docs/scale.md names the "
            "credentials and permissions that bulk needs",
        ),
        (
            "When listing: AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: It does not exist (Request ID: 1)",
            "the object store answers NO_SUCH_BUCKET to ListObjectsV2 (It does not exist (Request ID: 1))",
        ),
        (
            "AWS Error UNKNOWN (HTTP status 500) during HeadObject operation: No",
            "the object store answers UNKNOWN to HeadObject (No)",
        ),
        ("Truncated file\nmore", "Truncated file"),
    ],
)
def test_what_an_object_store_answers_is_told_without_the_names_of_files(said, expected):
    assert reason(OSError(said)) == expected


def test_answers_about_many_photos_are_of_one_kind():
    lines = [f"key '{name}': AWS Error ACCESS_DENIED during HeadObject operation: {name}" for name in "ab"]
    assert Tally.of(reason(OSError(line)) for line in lines).errors == {
        "the object store answers ACCESS_DENIED to HeadObject": 2
    }


def test_a_url_of_no_file_system_is_refused():
    with pytest.raises(CaptionerError, match=r"^sftp://host/photos: .*; expected a path, or a URL"):
        Storage().locate("sftp://host/photos")
