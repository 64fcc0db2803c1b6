"""`predict`: photos in, captions out; or a language model at work on a text."""

import argparse
import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from captioner.cli.arguments import add_encoder_weights, add_search, shipped_model
from captioner.cli.main import complain
from captioner.cli.predict_text import TEXT_OPTIONS, add_text, run_text
from captioner.cli.quiet import load_keras
from captioner.errors import CaptionerError, UsageError
from captioner.files import replacing

INTERRUPTED = "stopped; the captions made so far are written"

BATCH_SIZE = 16
"""Photos that go through the encoder together."""

CAPTION_OPTIONS = ("encoder_weights", "beam_width", "length_penalty", "num_captions", "attention")
"""What only photos have."""

EXAMPLES = """\
examples:
  python predict.py photo.jpg                        the caption, alone on a line
  python predict.py photos/ --format csv --output captions.csv
  python predict.py 'photos/*.jpg' --num-captions 3  three captions for each photo, best first
  python predict.py photo.jpg --attention looked.png where the model looked, word by word
  python predict.py --prompt "ROMEO:" --length 300   the character language model goes on
  python predict.py --prompt "To be or n" --suggest 5
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Caption photos. One photo gives its caption; several give lines of PATH<TAB>CAPTION. Or, with a "
        "character language model: go on with a text, complete a word, score.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="a photo, a folder (with all its folders), or a pattern"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--model", metavar="DIR", type=Path, help="model directory (default: the one that is shipped)")
    add_encoder_weights(model)
    add_search(model)
    output = parser.add_argument_group("output")
    output.add_argument("--num-captions", metavar="N", type=_count, default=1, help="captions a photo (default: 1)")
    output.add_argument("--format", choices=("text", "json", "csv"), default="text", help="json writes a line a photo")
    output.add_argument("--output", metavar="FILE", type=Path, help="write there instead of to the terminal")
    output.add_argument(
        "--attention",
        metavar="FILE_OR_DIR",
        type=Path,
        help="draw where the model looked: a picture for one photo, a folder of pictures for several",
    )
    add_text(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Caption, print, and say what could not be used; or let a language model work."""
    if _is_text(arguments):
        with _opened(arguments.output) as file:
            return run_text(arguments, file)

    from captioner.data.photos import find_photos

    photos, complaints = find_photos(arguments.paths)
    for complaint in complaints:
        complain(complaint)
    if not photos:
        raise CaptionerError("nothing to caption")
    single = len(arguments.paths) == 1 and Path(arguments.paths[0]) == photos[0]
    draw = _attention_paths(arguments.attention, photos, single)
    write = _writer(arguments.format, arguments.num_captions, single)
    failed = len(complaints)
    with _opened(arguments.output) as file:
        heading = _csv_row(["image", "caption", "score"]) if arguments.format == "csv" else ""
        for photo, result in _captions(photos, arguments):
            if isinstance(result, CaptionerError):
                complain(str(result))
                failed += 1
                continue
            file.write(heading + write(photo, result))
            file.flush()
            heading = ""
            if draw:
                from captioner.data.photos import open_photo
                from captioner.plots import draw_attention

                draw_attention(draw[photo], open_photo(photo), result[0].caption.split(), result[0].attention)
        file.write(heading)
    if failed and failed == len(photos) + len(complaints):
        complain("no photo could be captioned")
    return 1 if failed else 0


def _is_text(arguments: argparse.Namespace) -> bool:
    """Tell whether a language model is asked for.

    Raises:
        UsageError: nothing is asked for, things of both kinds, or the model is of the other kind.
    """
    from captioner.runtime.char_directory import is_char_model

    parser = make_parser("predict")
    texts, photos = (
        [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) != parser.get_default(name)]
        for names in (TEXT_OPTIONS, CAPTION_OPTIONS)
    )
    photos = [*arguments.paths[:1], *photos]
    if texts and photos:
        raise UsageError(
            f"{', '.join(photos)}: for photos, but {', '.join(texts)} for a language model; leave out one or the other"
        )
    speaks = arguments.model is not None and is_char_model(arguments.model)
    if photos and speaks:
        raise UsageError(
            f"{', '.join(photos)}: {arguments.model} is a character language model and sees no photos; give --prompt "
            "or --score, or another --model"
        )
    if texts and not speaks and arguments.model is not None and (arguments.model / "config.json").is_file():
        raise UsageError(
            f"{', '.join(texts)}: {arguments.model} is a captioning model; give photos, or another --model"
        )
    if not arguments.paths and not texts:
        raise UsageError("name a photo or a folder; or for a character language model, give --prompt or --score")
    return bool(texts)


def _captions(photos: list[Path], arguments: argparse.Namespace) -> Iterator[tuple[Path, Any]]:
    """Give for each photo its candidates, or the error that kept it from them."""
    load_keras()
    from tqdm import tqdm

    from captioner.models.describe import Describer

    describer = Describer.load(
        arguments.model or shipped_model(),
        arguments.encoder_weights,
        beam_width=arguments.beam_width,
        length_penalty=arguments.length_penalty,
        num_captions=arguments.num_captions,
    )
    to_terminal = arguments.output is None and sys.stdout.isatty()  # where the captions themselves show the progress
    with tqdm(total=len(photos), unit="photo", delay=2, disable=to_terminal or len(photos) == 1, leave=False) as bar:
        for first in range(0, len(photos), BATCH_SIZE):
            some = photos[first : first + BATCH_SIZE]
            for photo, result in zip(some, describer(some), strict=True):
                if isinstance(result, CaptionerError):  # about to be told on the bar's line
                    bar.clear()
                yield photo, result
                bar.update()


def _writer(style: str, num_captions: int, single: bool) -> Callable[[Path, Any], str]:
    def write_json(photo: Path, candidates: Any) -> str:
        found = [{"caption": each.caption, "score": each.score} for each in candidates]
        return json.dumps({"image": str(photo), **found[0], "candidates": found}, ensure_ascii=False) + "\n"

    def write_csv(photo: Path, candidates: Any) -> str:
        return _csv_row([str(photo), candidates[0].caption, f"{candidates[0].score:.4f}"])

    def write_text(photo: Path, candidates: Any) -> str:
        name = "" if single else f"{photo}\t"
        return "".join(f"{name}{each.caption}\n" for each in candidates[:num_captions])

    return {"json": write_json, "csv": write_csv, "text": write_text}[style]


def _csv_row(values: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """Give stdout, or a file that takes the place of `output` once everything is written."""
    odd_names = "backslashreplace"  # a file's name need not be text; JSON readers understand \udcff
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=odd_names)
        yield sys.stdout
        return
    stopped = None
    with replacing(output) as beside, beside.open("w", encoding="utf-8", errors=odd_names, newline="") as file:
        try:
            yield file
        except KeyboardInterrupt as interrupt:  # whole lines are worth keeping, if there are any
            if not file.tell():
                raise
            stopped = interrupt
    if stopped:
        raise stopped


def _attention_paths(where: Path | None, photos: list[Path], single: bool) -> dict[Path, Path]:
    """Say where each photo's picture goes: the file named, or one a photo in the folder named."""
    if where is None:
        return {}
    if single and not where.is_dir():
        if where.suffix.lower() not in (".png", ".jpg", ".jpeg", ".pdf", ".svg"):
            raise UsageError(f"--attention {where}: expected a picture such as {where}.png, or a folder that exists")
        return {photos[0]: where}
    if where.is_file():
        raise UsageError(f"--attention {where}: is a file; expected a folder, since there is more than one photo")
    paths: dict[Path, Path] = {}
    taken: set[str] = set()
    for photo in photos:
        name, number = photo.stem, 2
        while name in taken:
            name, number = f"{photo.stem}-{number}", number + 1
        taken.add(name)
        paths[photo] = where / f"{name}.png"
    return paths


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 100, found {text!r}")
    return int(text)
