"""`predict PHOTO ...`: find the photos, caption them, and write the results."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from captioner.cli.arguments import given_sampling
from captioner.cli.extras import Extras
from captioner.cli.formats import HEADING, csv_row, make_writer
from captioner.cli.main import complain, note
from captioner.cli.output_paths import (
    attention_paths,
    copy_path,
    refuse_shared_outputs,
    refuse_to_replace,
    sidecar_paths,
    without_pictures,
)
from captioner.cli.results import Table, is_terminal, is_text_table, opened, refuse_longer_text
from captioner.config.decoding import DecodingConfig, SamplingConfig, WordingConfig
from captioner.config.options import given
from captioner.errors import CaptionerError, PhotoError, UsageError
from captioner.photos.finding import find_photos
from captioner.photos.kinds import passed_over
from captioner.photos.limits import MAX_HELD
from captioner.photos.process import shared_opener
from captioner.photos.streams import NamedContent, is_stream, read_stream
from captioner.runtime.caption import Caption
from captioner.system.atomic import sweep
from captioner.system.cores import available_cores
from captioner.system.native_stderr import stderr_closed
from captioner.system.processes import can_start
from captioner.system.progress import progress_bar
from captioner.system.standard_input import STDIN, TYPED

Result = tuple[Path, Caption | PhotoError]


@dataclass(frozen=True)
class Selection:
    """The photos that the user named.

    Attributes:
        photos: their paths.
        streams: the contents of those that came through a pipe.
        complaints: about what the user named and cannot be captioned.
        unread: how many files there are of each kind that is not read.
        single: whether the user named one photo and nothing else.
    """

    photos: list[Path]
    streams: Mapping[Path, NamedContent]
    complaints: list[str]
    unread: dict[str, int]
    single: bool

    def passed_over(self) -> list[str]:
        """Return a line for each kind that is not read."""
        return [passed_over(kind, count) for kind, count in sorted(self.unread.items())]


@dataclass
class Outcome:
    """The counts of captioned and failed photos.

    Attributes:
        bad: why some could not be captioned.
        notes: what is odd about some that were.
        captioned: how many were.
        left_out: how many of these had no caption that is sure enough.
        unfamiliar: how many of these are unlike what the model learned from.
    """

    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    captioned: int = 0
    left_out: int = 0
    unfamiliar: int = 0

    def add(self, caption: Caption) -> None:
        """Count a photo that was captioned."""
        self.captioned += 1
        self.unfamiliar += caption.familiar is False


def caption_photos(arguments: argparse.Namespace) -> int:
    """Caption what the user named, and return the exit status."""
    if arguments.format == "csv" and arguments.num_captions > 1:
        raise UsageError("--num-captions: --format csv holds one caption per photo; use --format json or text")
    given_sampling(vars(arguments))  # before anything is read
    selection = _select(arguments)
    photos, extras = selection.photos, _extras(arguments, selection)
    for folder in extras.folders():  # a killed run may have left something where this one writes nothing
        sweep(folder)
    bare = selection.single and (arguments.output is None or arguments.overwrite or not is_text_table(arguments.output))
    if bare or arguments.overwrite:  # else it must be a table, and a photo is none
        refuse_to_replace("--output", arguments.output, photos)
    outcome = Outcome()
    with _sink(arguments, bare) as (held, put):
        if isinstance(held, Table):
            held.nameless = selection.streams
        todo = _left_to_do(photos, held, extras, arguments.output)
        terminal = arguments.output is None and is_terminal(sys.stdout)
        write = make_writer(arguments.format, arguments.num_captions, bare, terminal)

        def keep(photo: Path, caption: Caption) -> None:
            if photo not in held:  # last: a line says that all else is done, also of a run that was killed
                put(photo, write(photo, caption))

        def is_done(photo: Path) -> bool:
            if isinstance(held, Table):
                held.refresh()
            return photo in held and extras.are_there(photo)

        try:
            results = _captions(todo, selection.streams, is_done, arguments, outcome.notes.append)
            _write(results, extras, keep, outcome, Wanted(arguments.min_score, arguments.min_confidence))
        finally:  # also after Ctrl-C; at the end, where a long run has not scrolled them away
            for each in outcome.notes:
                note(each)
            for each in (*outcome.bad, *selection.passed_over()):
                complain(each)
            for each in extras.notes(outcome.captioned):
                note(each)
    if outcome.left_out:
        note(f"left out: {outcome.left_out} of {len(todo)} photos, whose captions {_reason(arguments)}")
    if outcome.unfamiliar and outcome.captioned > 1:
        note(
            f"{outcome.unfamiliar} of {outcome.captioned} photos look unlike what this model learned from; their "
            "captions are guesses"
        )
    failed = len(outcome.bad) + len(selection.complaints) + len(selection.unread)
    if failed and todo and not outcome.captioned:
        complain("no photo could be captioned")
    return 1 if failed else 0


def _left_to_do(photos: list[Path], held: Table | Sequence[Path], extras: Extras, output: Path | None) -> list[Path]:
    """Return the photos that `--output` does not hold, or that lack what is written besides; say what was found."""
    other = [photo for photo in photos if photo not in held]
    if len(other) == len(photos):
        return other
    todo = [photo for photo in photos if photo not in held or not extras.are_there(photo)]
    again = f"{len(todo) - len(other)} again, which lack what is to be written for them besides"
    if not todo:
        going_on = "nothing to do (--overwrite starts from scratch)"
    elif len(todo) == len(other):
        going_on = f"captioning the other {len(other)}"
    else:
        going_on = f"captioning the other {len(other)}, and {again}" if other else f"captioning {again}"
    note(f"{output} holds {len(photos) - len(other)} of {len(photos)} photos; {going_on}")
    return todo


def _select(arguments: argparse.Namespace) -> Selection:
    """Find the photos that the user named, and print what cannot be captioned.

    Raises:
        CaptionerError: there is no photo.
    """
    unread: dict[str, int] = {}
    photos, complaints = find_photos(arguments.paths, unread)
    photos = without_pictures(photos, arguments.paths, arguments.attention)
    streams, broken = _streams(arguments)
    if broken:
        photos = [photo for photo in photos if photo not in broken]
    complaints += map(str, broken.values())
    for complaint in complaints:
        complain(complaint)
    single = len(arguments.paths) == 1 and (bool(streams) or photos[:1] == [Path(arguments.paths[0])])
    selection = Selection(photos, streams, complaints, unread, single)
    if not photos:
        for line in selection.passed_over():
            complain(line)
        raise CaptionerError("nothing to caption")
    return selection


def _extras(arguments: argparse.Namespace, selection: Selection) -> Extras:
    """Return what to write for each photo besides its line.

    Raises:
        UsageError: something of somebody else, or another result, would be lost.
    """
    photos, copies = selection.photos, {}
    if arguments.embed:
        copies = {photo: photo if arguments.in_place else copy_path(photo) for photo in photos}
    extras = Extras(
        pictures=attention_paths(arguments.attention, photos, selection.single, arguments.overwrite),
        sidecars=sidecar_paths(photos) if arguments.sidecar else {},
        copies=copies,
        overwrite=arguments.overwrite,
        append=arguments.append,
        doubtful=arguments.embed_all,
        contents=selection.streams,
    )
    refuse_shared_outputs(
        {
            "--output": [arguments.output],
            "--attention": extras.pictures.values(),
            "--sidecar": extras.sidecars.values(),
            "--embed": extras.copies.values(),
        }
    )
    return extras


def _write(
    results: Iterator[Result],
    extras: Extras,
    keep: Callable[[Path, Caption], None],
    outcome: Outcome,
    wanted: "Wanted",
) -> None:
    """Write captions as they come, and count the results."""
    for photo, result in results:
        if isinstance(result, PhotoError):
            outcome.bad.append(str(result))
            continue
        outcome.add(result)
        caption = wanted.of(result)
        if caption is None:
            outcome.left_out += 1
            continue
        outcome.bad += extras.write(photo, caption)
        keep(photo, caption)


@dataclass(frozen=True)
class Wanted:
    """The confidence that a caption must have.

    Attributes:
        score: the lowest that is wanted; None for any.
        confidence: the same; where it is given, captions of unfamiliar photos are not wanted either.
    """

    score: float | None
    confidence: float | None

    def of(self, caption: Caption) -> Caption | None:
        """Return the caption with those of its candidates that are wanted, None where none is."""
        found = caption.candidates if self.confidence is None else caption.sure_enough(self.confidence)
        wanted = tuple(each for each in found if self.score is None or each.score >= self.score)
        return caption.with_candidates(wanted) if wanted else None


def _reason(arguments: argparse.Namespace) -> str:
    """Return why captions were left out."""
    reasons = []
    if arguments.min_score is not None:
        reasons.append(f"all score below {arguments.min_score:g}")
    if arguments.min_confidence is not None:
        reasons.append(f"are less sure than {arguments.min_confidence:g}, or of unfamiliar photos")
    return ", or ".join(reasons)


@contextlib.contextmanager
def _sink(
    arguments: argparse.Namespace, bare: bool
) -> Iterator[tuple[Table | Sequence[Path], Callable[[Path, str], None]]]:
    """Yield the photos that `--output` already holds, and a function that adds the lines of another.

    Args:
        arguments: what the user gave.
        bare: whether one photo is captioned alone, whose text names no path and takes the place of the file.
    """
    if arguments.output is not None and not (bare and arguments.format == "text"):
        with contextlib.closing(Table(arguments.output, arguments.format, arguments.overwrite)) as table:
            yield table, table.write
            table.finish()
        return
    if arguments.output is not None and not arguments.overwrite:
        refuse_longer_text(arguments.output, arguments.num_captions)
    with opened(arguments.output) as file:
        heading = csv_row(HEADING) if arguments.format == "csv" else ""

        def put(photo: Path, lines: str) -> None:
            nonlocal heading
            file.write(heading + lines)
            file.flush()
            heading = ""

        yield (), put
        file.write(heading)


def _streams(arguments: argparse.Namespace) -> tuple[dict[Path, NamedContent], dict[Path, PhotoError]]:
    """Read photos from pipes first, since their writers wait; return the errors too.

    Raises:
        UsageError: something is to be written beside them, or a photo has the name of standard input.
    """
    typed = dict.fromkeys(each for each in arguments.paths if is_stream(each))
    if not typed:
        return {}, {}
    if arguments.sidecar or arguments.embed:
        raise UsageError(f"{next(iter(typed))}: --sidecar and --embed write beside photos, and this is no file")
    if TYPED in typed and any(each != TYPED and Path(each) == STDIN for each in arguments.paths):
        raise UsageError(f"{TYPED} and a photo named {STDIN}: their results look alike; caption them one by one")
    contents: dict[Path, NamedContent] = {}
    broken: dict[Path, PhotoError] = {}
    for each in typed:
        photo, left = STDIN if each == TYPED else Path(each), MAX_HELD - sum(map(len, contents.values()))
        try:
            contents[photo] = read_stream(each, left)
        except PhotoError as error:
            broken[photo] = error
    return contents, broken


def _captions(
    photos: list[Path],
    streams: Mapping[Path, NamedContent],
    is_done: Callable[[Path], bool],
    arguments: argparse.Namespace,
    on_note: Callable[[str], object],
) -> Iterator[Result]:
    """Yield for each photo its caption or its error.

    A photo that `is_done` by its turn, since another run has captioned it meanwhile, is left out.
    """
    if not photos:
        return
    if len(photos) > 1 and can_start():  # another core starts them while this one loads the model
        shared_opener().prepare(min(available_cores(), len(photos)))
    from captioner.library import Captioner, require_calibration

    with stderr_closed():
        captioner = Captioner.load(
            arguments.model,
            arguments.encoder_weights,
            **given(vars(arguments), DecodingConfig),
            **given(vars(arguments), WordingConfig),
            **given(vars(arguments), SamplingConfig),
            num_captions=arguments.num_captions,
            consensus=arguments.consensus,
            precision=arguments.precision,
            backend=arguments.backend,
        )
    if arguments.min_confidence is not None:
        require_calibration(captioner)
    captioner.on_note = lambda photo, note: on_note(note)
    remaining = _Remaining(photos, is_done)
    captions = captioner.stream(_WithContents(remaining, streams))
    results = _begun((Path(each.name) if isinstance(each, NamedContent) else each, found) for each, found in captions)
    if len(photos) == 1 or (arguments.output is None and is_terminal(sys.stdout)):  # where captions show the progress
        yield from results
        return
    with progress_bar(results, total=len(photos), unit="photo", delay=2, leave=False) as bar:
        yield from bar


class _Remaining:
    """Photos, without those that are done when their turn comes; its length counts all of them."""

    def __init__(self, photos: list[Path], is_done: Callable[[Path], bool]) -> None:
        self._photos, self._is_done = photos, is_done

    def __len__(self) -> int:
        return len(self._photos)

    def __iter__(self) -> Iterator[Path]:
        return (photo for photo in self._photos if not self._is_done(photo))


class _WithContents:
    """Photos, of which those that came through a pipe are given as bytes."""

    def __init__(self, photos: "_Remaining", contents: Mapping[Path, NamedContent]) -> None:
        self._photos, self._contents = photos, contents

    def __len__(self) -> int:
        return len(self._photos)

    def __iter__(self) -> Iterator[Path | NamedContent]:
        return (self._contents.get(photo, photo) for photo in self._photos)


def _begun(results: Iterator[Result]) -> Iterator[Result]:
    """Yield all results. The first one loads the encoder for many photos, whose library may print messages."""
    with stderr_closed():
        first = list(islice(results, 1))
    yield from first
    yield from results
