"""Coverage-guided fuzzing of what opens strangers' files, with atheris, which is installed for this alone.

    python -m pip install atheris
    python tests/fuzz/fuzz.py photo corpus/ -max_total_time=600 -timeout=5 -rss_limit_mb=1500
    python tests/fuzz/fuzz.py karpathy corpus/ -max_total_time=600 -timeout=5 -rss_limit_mb=1500

The first word is `photo`, or a layout of caption files; what follows is libFuzzer's. A directory that is empty is given
something to begin with. What it finds belongs into `tests/fuzz/found`, which `test_found.py` reads with every change.
"""

import io
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

import pandas  # noqa: F401  # imported late by the readers, which counts as a hang

with atheris.instrument_imports(include=["captioner", "PIL", "json"]):
    from PIL import Image

    import captioner.photos.structure.bmp
    import captioner.photos.structure.gif
    import captioner.photos.structure.heif
    import captioner.photos.structure.jpeg
    import captioner.photos.structure.png
    import captioner.photos.structure.tiff
    import captioner.photos.structure.webp  # noqa: F401
    from captioner.data.formats import read_dataset
    from captioner.errors import CaptionerError, PhotoError
    from captioner.photos.decoding import checked, decode, is_plain, reason
    from captioner.photos.limits import MAX_PIXELS
    from captioner.photos.memory_budget import DECODING
    from captioner.system.printable import in_a_line

CAPTION_FILES = {
    "flickr8k": ("Flickr8k.token.txt", b"a.jpg#0\tA dog .\r\na.jpg#1\t\xea\xb0\x9c\nb.jpg#0\tTwo cats\n"),
    "karpathy": (
        "dataset_x.json",
        b'{"images": [{"filename": "a.jpg", "filepath": "in", "split": "train", "sentences": [{"raw": "A dog", '
        b'"tokens": ["a", "dog"]}]}, {"filename": "b.jpg", "split": "val", "sentences": [{"tokens": ["a", "cat"]}]}]}',
    ),
    "kaggle": ("captions.txt", b'image,caption\na.jpg,"A dog, a cat"\nb.jpg,Two ""cats"\n'),
    "coco": (
        "captions_train.json",
        b'{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}], '
        b'"annotations": [{"image_id": 1, "caption": "A dog"}, {"image_id": 2, "caption": "x"}]}',
    ),
    "csv": ("captions.csv", b'image,caption,split\na.jpg,A dog,train\nb.jpg,"a, b",dev\nc.jpg,,test\n'),
    "jsonl": (
        "metadata.jsonl",
        b'{"file_name": "a.jpg", "text": "A dog", "split": "train"}\n{"image": "b", "captions": ["A cat", "Two"]}\n',
    ),
    "semicolons": (
        "captions.csv",
        b"sep=;\r\nfile_name;text\r\n/x/a.jpg;A dog\r\n..\\b.jpg;\xe4\xb8\x80\xe5\x8f\xaa; cats\r\n",
    ),
    "flickr30k": ("results.csv", b"image_name| comment_number| comment\na.jpg| 0| A dog .\nb.jpg| 1   Two cats .\n"),
    "sidecar": ("a.txt", b"A dog\r\n\nA cat"),
    "tsv": ("captions.tsv", b"image\tcaption\na.jpg\tA dog\nb.jpg\tTwo\tcats\n"),
}


def open_any(content: bytes) -> None:
    """Open a file's bytes as a photo, as far as that is done without another process."""
    try:
        structure = checked(content, "photo", MAX_PIXELS)
    except PhotoError as error:
        assert str(error) == in_a_line(str(error))  # noqa: PT017
        return
    if not is_plain(content, structure):  # another process opens it, under a budget
        return
    try:
        decode(content, structure, DECODING.take, str).resize((224, 224))
    except Exception as error:  # as `open_photo` takes them
        assert reason(error) == in_a_line(reason(error))  # noqa: PT017


class Captions:
    """Reads bytes as the caption file of a layout, in a folder with two photos."""

    def __init__(self, layout: str) -> None:
        self._layout = "csv" if layout in ("tsv", "semicolons", "flickr30k") else layout
        self._kept = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._folder = Path(self._kept.name)
        self._file = self._folder / CAPTION_FILES[layout][0]
        for name in ("a.jpg", "b.jpg"):
            (self._folder / name).touch()

    def __call__(self, content: bytes) -> None:
        """Read it."""
        self._file.write_bytes(content)
        try:
            read_dataset(self._folder, self._layout).report().encode("utf-8")
        except CaptionerError as error:
            str(error).encode("utf-8")


def seeds(target: str) -> list[bytes]:
    """Return what to begin with."""
    if target != "photo":
        return [CAPTION_FILES[target][1]]
    files = []
    for mode in ("RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "I;16", "F", "I"):
        for form in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"):
            exif = Image.Exif()
            exif[0x0112] = 6
            file = io.BytesIO()
            try:
                Image.new(mode, (9, 7)).save(file, form, exif=exif)
            except (OSError, KeyError, ValueError):
                continue
            files.append(file.getvalue())
    return files


def main() -> None:
    """Fuzz what the command line names."""
    target, *options = sys.argv[1:]
    folder = next(Path(option) for option in options if not option.startswith("-"))
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        for number, content in enumerate(seeds(target)):
            (folder / f"seed-{number}").write_bytes(content)
    run = open_any if target == "photo" else Captions(target)
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
