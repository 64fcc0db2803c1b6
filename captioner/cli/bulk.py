"""`bulk`: captions for any number of photos, on all cores of a machine or of a cluster."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from captioner.cli.arguments import (
    add_encoder_weights,
    add_min_confidence,
    add_model,
    add_precision,
    add_quiet,
    add_sampling,
    add_search,
    add_wording,
    count_up_to,
    given_sampling,
)
from captioner.cli.main import Stopped, complain, note
from captioner.cli.parser import Parser
from captioner.config.decoding import MOST_CAPTIONS, DecodingConfig, WordingConfig
from captioner.config.options import flags, given
from captioner.errors import CaptionerError, UsageError
from captioner.system.extras import require
from captioner.system.native_stderr import stderr_closed
from captioner.system.progress import progress_bar

if TYPE_CHECKING:
    from captioner.bulk.run import Summary

INTERRUPTED = "stopped; finished parts are kept, and the same command resumes after them"

OF_CAPTIONS = (
    *("format", "num_captions", "beam_width", "length_penalty", "no_repeat_ngram_size"),
    *("max_length", "begin", "exclude", "temperature", "top_k", "top_p", "seed", "min_confidence"),
)
"""Options about captions, which there are none of with `--features`."""

EXAMPLES = """\
INPUT is one or more of these, by path or by URL of an object store (s3://, gs://, or another file system that PyArrow
reads). Download photos from the web first, for instance with img2dataset, which writes tar files:
  a folder    photos, .tar and .parquet files, in the folder and all its subfolders
  a list      .txt, one path or URL per line
  Parquet     a column with the bytes of photos, or with their paths
  a tar file  shards of WebDataset: .tar, .tar.gz

OUT is a folder of parts. Each photo has a row with path, caption, score, confidence, familiar and candidates, or with
the error if it could not be used. The column "note" describes a fault of a file that was used nevertheless, or says why
--min-confidence left the caption out. After an interruption, run the same command again: it resumes, and skips photos
that OUT already holds.
Workers need only this package and its requirements: the model comes from the machine that runs this command.
Needs Ray: pip install -r requirements-cluster.txt

examples:
  python -m captioner bulk photos/ --output captions/               # on all cores of this machine
  python -m captioner bulk s3://museum/photos --output s3://museum/captions --ray-address auto
  python -m captioner bulk shards/*.tar --output captions/ --format json --num-captions 3
  python -m captioner bulk table.parquet --column photo --output captions/
  python -m captioner bulk photos/ --output captions/ --min-confidence 0.6
  python -m captioner bulk photos/ --output features/ --features    # for train.py --features features/
  python -c "import pandas; print(pandas.read_parquet('captions/'))"
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Caption any number of photos on all cores of this machine or of a Ray cluster.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="photos: a folder, a list, Parquet or tar files")
    parser.add_argument(
        "--column", metavar="NAME", default="", help="the Parquet column with the photos (default: the most likely one)"
    )
    parser.add_argument(
        "--ray-address",
        choices=("local", "auto"),
        default="local",
        help="auto joins the cluster that this machine belongs to; local starts a cluster on this machine alone, which "
        "no other machine can reach (default: local)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        metavar="OUT",
        required=True,
        help="a folder, by path or URL; nothing locks a URL, so let one run at a time write there",
    )
    output.add_argument(
        "--format", choices=("parquet", "json"), help="json writes one line per photo (default: parquet)"
    )
    output.add_argument(
        "--features",
        choices=("published", "model"),
        nargs="?",
        const="published",
        help="write the encoder's features instead of captions, for `train.py --features OUT`: those of the published "
        "encoder, or those of the model's fine-tuned encoder, for a training that starts from this model (default "
        "without a value: published)",
    )
    output.add_argument(
        "--num-captions", metavar="N", type=count_up_to(MOST_CAPTIONS), help="captions per photo (default: 1)"
    )
    add_min_confidence(output)
    output.add_argument("--overwrite", action="store_true", help="remove the parts in OUT and start from scratch")
    model = parser.add_argument_group("model")
    add_model(model)
    add_encoder_weights(model, downloads=False)
    add_search(model)
    add_precision(model)
    add_wording(parser.add_argument_group("captions"))
    add_sampling(parser.add_argument_group("captions drawn at random, with --temperature"))
    add_quiet(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Caption, show the progress, and print a summary."""
    with _Bar() as bar, _stoppable():
        return _run(arguments, bar)


def _run(arguments: argparse.Namespace, bar: "_Bar") -> int:
    # Read by NumPy as it is imported: the products are too small to share.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    require("cluster", "bulk")
    from captioner.bulk.inputs import Inputs
    from captioner.bulk.model import PackedModel, describe, find_encoder, pack
    from captioner.bulk.output import FEATURES, Output
    from captioner.bulk.run import Job, bulk
    from captioner.bulk.storage import Storage, is_url, reason
    from captioner.library import default_model, require_calibration

    complaints: list[str] = []
    parsed = [Storage.parse(each) for each in arguments.inputs]
    options = {storage.options for storage, _ in parsed if storage.options}
    if len(options) > 1:
        raise UsageError(
            f"INPUT: expected the same options after the ? of every URL, found {' and '.join(sorted(options))}; name "
            "them in runs of their own, with the same --output"
        )
    storage, place = Storage.parse(arguments.output)
    style = FEATURES if arguments.features else arguments.format or "parquet"
    if arguments.features and (idle := [name for name in OF_CAPTIONS if getattr(arguments, name) is not None]):
        raise UsageError(f"{flags(idle)}: with --features no captions are made; leave out one or the other")
    sampling = given_sampling(vars(arguments))
    output = Output(place, storage, style, arguments.min_confidence)
    inputs = Inputs(
        [place for _, place in parsed], Storage(*options), arguments.column, output.place, complaints.append
    )

    published = arguments.features == "published"
    precision = "float32" if arguments.features else arguments.precision  # as a training reads photos
    directory = arguments.model or default_model(arguments.encoder_weights)
    if arguments.min_confidence is not None:
        require_calibration(directory)

    def load() -> PackedModel:
        with stderr_closed():
            return pack(
                *find_encoder(directory, arguments.encoder_weights, precision, published),
                num_captions=arguments.num_captions or 1,
                wording=WordingConfig(**given(vars(arguments), WordingConfig)),
                sampling=sampling,
                **given(vars(arguments), DecodingConfig),
            )

    settings = {**_settings(arguments, style), **describe(directory, published)}
    job = Job(inputs, output, settings, arguments.overwrite, arguments.ray_address)
    try:
        summary = bulk(job, load, bar.begin)
    except OSError as error:
        if error.errno is not None or not is_url(place):
            raise
        raise CaptionerError(f"--output {place}: {reason(error)}") from error  # an object store's names no file
    bar.close()
    for complaint in complaints:
        complain(complaint)
    _sum_up(summary, "with features" if style == FEATURES else "captions")
    return 1 if summary.tally.errors or complaints else 0


def _sum_up(summary: "Summary", what: str) -> None:
    """Print how much was done, how fast, and what was left out.

    Raises:
        CaptionerError: there was nothing to do.
    """
    tally = summary.tally
    if not tally.photos and not summary.held:
        raise CaptionerError("nothing to caption")
    if tally.photos:
        rate = tally.photos / max(summary.seconds, 1e-9)
        held = max(summary.megabytes.values(), default=0)
        note(
            f"{tally.photos:,} photos, {tally.good:,} {what} in {summary.seconds:,.0f} s: {rate:.1f} photos a "
            f"second, {rate / max(summary.cores, 1):.1f} a core"
        )
        note(
            f"{sum(summary.processor.values()) / tally.photos:.3f} processor seconds a photo"
            + (f"; a worker held up to {held:.0f} MB" if held else "")
        )
        for kind, count in tally.errors.most_common():
            complain(f"{count:,} left out: {kind}")
        for kind, count in tally.left_out.most_common():
            note(f"{count:,} {kind}")
        for kind, count in (tally.notes - tally.left_out).most_common():
            complain(f"{count:,} used despite a fault: {kind}")


def _settings(arguments: argparse.Namespace, style: str) -> dict[str, object]:
    """Return what the runs that write to one folder must have in common."""
    if arguments.features:
        return {"format": style}
    from captioner.bulk.output import COLUMNS, SCHEMA

    settings = {name: getattr(arguments, name) for name in OF_CAPTIONS}
    return {
        **settings,
        COLUMNS: SCHEMA.names,
        "format": style,
        "num_captions": arguments.num_captions or 1,
        "precision": arguments.precision,
    }


class _Bar:
    """A progress bar that appears once the number of photos is known."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def begin(self, photos: int) -> Callable[[int], object]:
        self._bar = progress_bar(total=photos or None, unit="photo", delay=2, leave=False)
        return self._bar.update

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def _stoppable() -> Iterator[None]:
    """End at once on Ctrl-C and SIGTERM; Ray's shutdown takes seconds.

    Before Ray is there, `Stopped` is raised, so that what is half done is put away. Ray might catch that.
    """
    stderr = os.dup(2)  # which leads nowhere while Ray starts

    def stop(number: int, frame: object) -> None:
        if "ray" in sys.modules:
            _leave(number, stderr)
        raise Stopped(number)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    heard = [each for each, handler in before.items() if handler is not signal.SIG_IGN]  # as jobs in the background do
    for each in heard:
        signal.signal(each, stop)
    try:
        yield
    except Stopped as stopped:
        _leave(stopped.number, stderr)
    finally:
        os.close(stderr)
        for each in heard:
            signal.signal(each, before[each])


def _leave(number: int, stderr: int) -> NoReturn:
    """End the process, and those of Ray."""
    # Not by `print`, which may be what was interrupted; the bar's line is overwritten
    clear = "\r\x1b[K" if os.isatty(stderr) else ""
    with suppress(OSError):
        os.write(stderr, f"{clear}captioner: {INTERRUPTED}\n".encode())
    if "ray" in sys.modules:
        from captioner.bulk.cluster import kill_processes

        kill_processes()
    os._exit(128 + number)
