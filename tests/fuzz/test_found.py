"""What fuzzing has found, with every change: what once went wrong, and one file for each way through the readers."""

import subprocess
import sys
from pathlib import Path

import pytest

from captioner.data.formats import read_dataset
from captioner.errors import CaptionerError, PhotoError
from captioner.photos.opening import open_photo

FOUND = Path(__file__).with_name("found")
ROOT = Path(__file__).parents[2]
NAMES = {
    "flickr8k": "Flickr8k.token.txt",
    "karpathy": "dataset_x.json",
    "coco": "captions_train.json",
    "csv": "captions.csv",
    "jsonl": "metadata.jsonl",
    "sidecar": "a.txt",
}

OPEN = """
import re, sys
from pathlib import Path
from captioner.errors import PhotoError
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
for path in sys.argv[1:]:
    try:
        preprocess(open_photo(Path(path).read_bytes()), 144)
    except PhotoError as error:
        print(error)
# Not ru_maxrss: that begins with what the parent has taken.
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in /proc")
def test_photos_take_little_memory_and_time():
    import resource

    paths = sorted((FOUND / "photo").iterdir())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *paths], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert int(done.stdout.splitlines()[-1]) < 1000
    assert after.ru_utime - before.ru_utime < 5 + len(paths)


def test_a_message_about_a_photo_is_one_line():
    """The file calls its picture "av0" and a line end."""
    with pytest.raises(PhotoError, match="packed as") as caught:
        open_photo((FOUND / "photo" / "kind-with-a-line-end.avif").read_bytes())
    assert str(caught.value).isprintable()
    assert r"packed as av0\n," in str(caught.value)


@pytest.mark.parametrize("layout", NAMES)
def test_caption_files_are_read_or_told(layout, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    contents = sorted((FOUND / layout).iterdir())
    assert contents
    for path in contents:
        (tmp_path / NAMES[layout]).write_bytes(path.read_bytes())
        try:
            read_dataset(tmp_path, layout).report().encode()
        except CaptionerError as error:
            str(error).encode()
