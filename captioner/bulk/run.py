"""A bulk run: find the photos, skip those that are done, caption the rest on the cluster, and count."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from captioner.bulk.cluster import caption, cluster
from captioner.bulk.done_names import DoneNames
from captioner.bulk.inputs import Inputs
from captioner.bulk.known_parts import KnownParts
from captioner.bulk.model import PackedModel
from captioner.bulk.output import PLAN, Output
from captioner.bulk.plan import Block, Plan, cut
from captioner.bulk.tally import Tally
from captioner.errors import CaptionerError

log = logging.getLogger(__name__)

MOST_TASKS = 10_000
"""Tasks that Ray has to keep; of more blocks, several make a task."""


@dataclass
class Summary:
    """The result of a run.

    Attributes:
        held: rows that were there before.
        tally: of the photos of this run.
        seconds: from the first block handed out to the last one done.
        cores: of the cluster, when it began.
        megabytes: the most memory that each worker has held.
        processor: seconds of a core that each worker has had.
    """

    held: int = 0
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    cores: int = 0
    megabytes: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What to caption, where to write, and with which model.

    Attributes:
        inputs: the photos.
        output: where the captions go.
        settings: what runs into the same folder must have in common.
        overwrite: whether to remove what an earlier run left, once there is something to put in its place.
        address: of the cluster, see `cluster.ADDRESSES`.
    """

    inputs: Inputs
    output: Output
    settings: dict[str, Any]
    overwrite: bool = False
    address: str = "local"


def bulk(job: Job, load: Callable[[], PackedModel], watch: Callable[[int], Callable[[int], object]]) -> Summary:
    """Caption the photos that the output does not have yet.

    Args:
        job: what to do.
        load: reads the model, called when there is something to do.
        watch: called with the number of photos, 0 where it is not known; returns a function, which is called with the
            number of photos done since its last call.

    Raises:
        UsageError: see `Output.check` and `Output.alone`.
        CaptionerError: some photos could not be captioned however often they were begun, nothing can be written, or
            another run writes to the same folder.
    """
    output = job.output
    seen, summary = DoneNames(), Summary()
    output.check(job.settings, job.overwrite)
    with output.alone():
        done = {} if job.overwrite else output.parts()
        for paths in output.paths() if done else ():
            seen.add(paths, as_written=str)
            summary.held += len(paths)
        known = KnownParts(output, job.settings)
        for digest in done:
            known.add(digest)
        plan = Plan(output.at(PLAN), output.storage)
        ends, photos = plan.write(_noted(cut(job.inputs, seen, lambda block: block.digest in done), known))
        todo = range(len(ends) - 1)
        if summary.held:
            going_on = "continuing with the others" if todo else "nothing more to do"
            log.warning("%s holds %s photos; %s", output.place, f"{summary.held:,}", going_on)
        if todo:
            model = load()
            with cluster(job.address) as cores:
                output.begin(job.settings, job.overwrite)  # now that nothing is missing
                summary.cores = cores
                _Pass(job, plan, ends, summary, _watching(known, watch(photos))).caption_all(todo, model)
            known.check(complete=True)
        plan.remove()
        output.tidy()
        return summary


def _noted(blocks: Iterable[Block], known: KnownParts) -> Iterator[Block]:
    """Yield the blocks, and record their parts as known."""
    for block in blocks:
        known.add(block.digest)
        yield block


def _watching(known: KnownParts, advance: Callable[[int], object]) -> Callable[[int], object]:
    """Check for another run's parts now and then, while counting photos."""

    def counted(photos: int) -> None:
        advance(photos)
        known.check_at_times()

    return counted


class _Pass:
    """The loop over the lines of a plan, until their photos are captioned.

    Args:
        job: what to do.
        plan: the blocks of photos.
        ends: where each line of the plan begins, and where the last one ends.
        summary: takes the counts.
        advance: called with the number of photos done since its last call.
    """

    def __init__(
        self, job: Job, plan: Plan, ends: Sequence[int], summary: Summary, advance: Callable[[int], object]
    ) -> None:
        self._job, self._plan, self._ends = job, plan, ends
        self._summary, self._advance = summary, advance
        self._counted: set[int] = set()

    def caption_all(self, todo: Sequence[int], model: PackedModel) -> None:
        """Caption the lines `todo`, and repeat for missing ones as long as their number falls."""
        import ray

        stored, began = ray.put(model), time.perf_counter()
        while todo:
            self._caption(todo, stored)
            missing = [line for line in todo if self._is_missing(line)]
            if len(missing) == len(todo):
                _, first = next(self._plan.read(self._ends[missing[0]], self._ends[missing[0] + 1]))
                raise CaptionerError(_stuck(len(missing), first))
            todo = missing
        self._summary.seconds = time.perf_counter() - began

    def _caption(self, todo: Sequence[int], stored: Any) -> None:
        job, summary = self._job, self._summary
        tasks = _tasks(todo, self._ends)
        for found in caption(tasks, self._plan, stored, job.inputs.storage, job.output, summary.cores):
            if found.failure:
                raise CaptionerError(found.failure)
            for kept, now in ((summary.megabytes, found.megabytes), (summary.processor, found.processor)):
                kept[found.worker] = max(now, kept.get(found.worker, 0.0))
            self._count(found.line, found.tally)

    def _count(self, line: int, tally: Tally) -> None:
        if line not in self._counted:
            self._counted.add(line)
            self._summary.tally.add(tally)
            self._advance(tally.photos)

    def _is_missing(self, line: int) -> bool:
        """Look for a finished part that was not counted: its worker may have been lost before it reported."""
        if self._ends[line] in self._counted:
            return False
        for begin, block in self._plan.read(self._ends[line], self._ends[line + 1]):
            if not self._job.output.holds(block):
                return True
            self._count(begin, self._job.output.tally(block))
        return False


def _tasks(lines: Sequence[int], ends: Sequence[int]) -> list[tuple[int, int]]:
    """Join consecutive lines of the plan into at most about `MOST_TASKS` tasks, given as ranges of bytes."""
    most = -(-len(lines) // MOST_TASKS)
    tasks: list[list[int]] = []
    for line in lines:
        if tasks and tasks[-1][-1] + 1 == line and line - tasks[-1][0] < most:
            tasks[-1][-1] = line
        else:
            tasks.append([line, line])
    return [(ends[first], ends[last + 1]) for first, last in tasks]


def _stuck(blocks: int, first: Block) -> str:
    example = first.shard.place if first.shard else f"that from {first.names[0]} to {first.names[-1]}"
    return (
        f"{blocks} blocks of photos cannot be captioned, first {example}: their workers failed or were lost each time, "
        "which happens when memory is short or a photo needs too much of it; all other blocks are done, and the same "
        "command tries these again"
    )
