import os
import sys
from pathlib import Path

import pytest

from captioner.photos import kinds as photo_kinds
from captioner.photos.finding import find_photos

linked = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in (
        "pics/10.jpg",
        "pics/2.JPG",
        "pics/notes.txt",
        "pics/.hidden.jpg",
        "pics/.cache/thumb.jpg",
        "pics/trip/1.png",
        "empty/readme.md",
        "scan.photo",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*typed):
    paths, complaints = find_photos(typed)
    return [path.as_posix() for path in paths], complaints


@pytest.mark.usefixtures("folder")
class TestFindPhotos:
    def test_a_folder_gives_its_photos_in_natural_order(self):
        assert found("pics") == (["pics/2.JPG", "pics/10.jpg", "pics/trip/1.png"], [])

    def test_a_file_that_is_named_is_taken_whatever_its_extension(self):
        assert found("scan.photo", "pics/.hidden.jpg") == (["scan.photo", "pics/.hidden.jpg"], [])

    def test_the_order_is_that_of_the_names_and_none_comes_twice(self, folder):
        assert found("pics/trip", "./pics/10.jpg", "pics", str(folder / "scan.photo"), "scan.photo") == (
            ["pics/trip/1.png", "pics/10.jpg", "pics/2.JPG", (folder / "scan.photo").as_posix()],
            [],
        )

    def test_patterns_that_the_shell_left_alone(self):
        assert found("pics/*.jpg") == (["pics/10.jpg"], [])
        assert found("pics/*") == (["pics/2.JPG", "pics/10.jpg", "pics/trip/1.png"], [])
        assert found("**/1*") == (["pics/10.jpg", "pics/trip/1.png"], [])

    def test_a_file_whose_name_looks_like_a_pattern(self, folder):
        (folder / "a[1].jpg").touch()
        assert found("a[1].jpg") == (["a[1].jpg"], [])

    @pytest.mark.parametrize("heic", ["", ".heic .heif .hif .heics .heifs "])
    def test_what_leads_nowhere_is_told_and_the_rest_is_kept(self, monkeypatch, heic):
        monkeypatch.setattr(photo_kinds, "heif_is_installed", lambda: bool(heic))
        assert found("empty/", "missing.jpg", "*.bmp", "", "scan.photo") == (
            ["scan.photo"],
            [
                "empty/: no photos in this folder (looked for .jpg .jpeg .jpe .jfif .mpo .png .gif .webp .avif .avifs "
                f"{heic}.bmp .dib .tif .tiff)",
                "missing.jpg: no such file",
                "*.bmp: no photos match this pattern",
                "'': no such file",
            ],
        )

    @pytest.mark.parametrize("installed", [False, True])
    def test_what_looks_like_a_photo_and_is_not_read_is_counted(self, folder, monkeypatch, installed):
        monkeypatch.setattr(photo_kinds, "heif_is_installed", lambda: installed)
        for name in (
            *("a.HEIC", "b.heic", ".c.heic", "d.captioned.heic", "a.mov", "e.avif"),
            *("f.jxl", "g.CR2", "h.nef", "trip/i.dng", "j.jp2"),
        ):
            (folder / "pics" / name).touch()
        for typed in (["pics"], ["pics", "pics/trip", "pics/a*"]):
            counted = {}
            photos, complaints = find_photos(typed, counted)
            heic = {} if installed else {"HEIC": 2}
            assert counted == {"JPEG XL": 1, "camera raw": 3, "JPEG 2000": 1} | heic
            assert complaints == []
            assert [path.name for path in photos if path.suffix in (".avif", ".heic", ".HEIC")] == (
                ["a.HEIC", "b.heic", "e.avif"] if installed else ["e.avif"]
            )

    def test_a_file_that_is_named_is_never_passed_over(self, folder):
        (folder / "a.jxl").touch()
        counted = {}
        assert find_photos(["a.jxl"], counted) == ([Path("a.jxl")], [])
        assert counted == {}

    @linked
    def test_linked_folders_are_followed_once_each(self, folder):
        for link, target in (
            ("pics/loop", folder),
            ("pics/again", folder / "pics" / "trip"),
            ("pics/elsewhere", folder / "far"),
            ("pics/elsewhere too", folder / "far"),
            ("pics/gone", folder / "nowhere"),
        ):
            (folder / link).symlink_to(target)
        (folder / "far" / "away").mkdir(parents=True)
        (folder / "far" / "away" / "5.jpg").touch()
        (folder / "far" / "back").symlink_to(folder / "pics")
        names, complaints = found("pics")
        assert complaints == []
        assert names == [
            *("pics/2.JPG", "pics/10.jpg", "pics/elsewhere/away/5.jpg", "pics/trip/1.png"),
        ]

    @linked
    def test_a_folder_that_is_a_link_is_followed(self, folder):
        (folder / "mine").symlink_to(folder / "pics")
        assert found("mine") == (["mine/2.JPG", "mine/10.jpg", "mine/trip/1.png"], [])

    def test_a_folder_that_cannot_be_read_is_told(self, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(os, "scandir", refuse)
        assert found("pics") == ([], ["pics: permission refused"])
