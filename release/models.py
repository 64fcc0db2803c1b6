"""Make everything that depends on a shipped model after its weights changed: `python -m release.models`.

The parts run in order, each by its own command: the rounding to int8, calibration, scores, cards, figures, the picture
of the page, and examples. A part is left out while neither what it reads nor what it writes has changed since it last
ran here, so the same command resumes after an interruption. At the end, values in documents are written anew
(`release/claims.toml` says which), and what a person has to write is listed.

Flickr8k comes from $CAPTIONER_DATA, InceptionV3's weights from $CAPTIONER_ENCODER_WEIGHTS. scikit-image and
scikit-learn need not be installed: `pip download --no-deps --dest wheels scikit-image scikit-learn`, and give
`--wheels wheels`.

exit status: 0 if nothing is left to do, 1 if a line is listed or a part failed, 2 if the command line is wrong
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.model_files.directory import CALIBRATION, CONFIG, INT8_NETWORK, NGRAMS, ROUNDINGS, VOCABULARY
from captioner.model_files.encoder_weights import VARIABLE
from captioner.system.files import read_json, write_text
from release import confidence_page
from release.claims import Difference, Document, corrected, differences, places, read_claims
from release.steps import Step, run_steps

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "release-models"
CLAIMS = Path(__file__).with_name("claims.toml")
NETWORKS = {
    "flickr8k": (VOCABULARY, "decoder.npz", "encoder.npz"),
    "compact": (VOCABULARY, "decoder.npz", "encoder.tflite"),
    "char-lm": (VOCABULARY, "weights.npz"),
}
"""The models that ship, and what a training writes of each."""

SCRIPTS = Path(__file__).parent
INT8 = {"flickr8k": ROUNDINGS, "compact": INT8_NETWORK}
FIGURES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "flickr8k": {"attention_photo": ("webp",)},
    "compact": {},
    "char-lm": {"chain_rule": ("svg", "csv"), "samples": ("svg", "csv", "txt")},
}
"""Those of `docs/figures` that show a model, and the kinds of their files."""

MEASURES = {**{name: f"measure-{name}" for name in NETWORKS}, "errors": "errors"}
"""Facts that documents are held against, and the steps that measure them."""

EXAMPLES = ("docs/api/captioner.md", "docs/api/characters.md", "docs/rnn.md", "docs/rnn.ko.md")
"""Pages whose blocks run the shipped models."""


def main() -> None:
    """Run the parts, write the documents, list what is left."""
    parser = argparse.ArgumentParser(
        prog="python -m release.models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help="only these, such as calibrate-compact; see --list")
    parser.add_argument("--list", action="store_true", help="print the steps, and run none")
    parser.add_argument(
        "--check", action="store_true", help="run no step and write nothing; list where documents differ"
    )
    parser.add_argument("--again", action="store_true", help="run steps that are up to date too")
    parser.add_argument("--wheels", type=Path, help="a folder with the wheels of scikit-image and scikit-learn")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the steps: TensorFlow's notices are no news
    steps = plan(arguments.wheels)
    names = [step.name for step in steps]
    if unknown := [name for name in arguments.steps if name not in names]:
        parser.error(f"no step is called {', '.join(unknown)}; there are {', '.join(names)}")
    if arguments.list:
        print("\n".join(f"{step.name}: {step.typed}" for step in steps))
        return
    try:
        sys.exit(release(steps, arguments))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command resumes there")
    except (CaptionerError, OSError) as error:
        sys.exit(f"error: {error}")


def release(steps: Sequence[Step], arguments: argparse.Namespace) -> int:
    """Run the steps that are asked for, and see to the documents; return the exit status.

    Raises:
        CaptionerError: a step fails, or a model has not been measured.
        OSError: a file cannot be read or written.
    """
    wanted = [] if arguments.check else [step for step in steps if step.name in (arguments.steps or [step.name])]
    left = [] if arguments.wheels or has_pictures() else [step.name for step in wanted if step.name == "confidence"]
    run_steps([step for step in wanted if step.name not in left], ROOT, BUILD / "stamps.json", arguments.again)
    for name in left:
        print(f"left: {name} needs scikit-image and scikit-learn; see --wheels")
    if arguments.steps and (unmeasured := [name for name in MEASURES if not facts_of(name).exists()]):
        print(f"documents were not compared, since these have not been measured here: {', '.join(unmeasured)}")
        return int(bool(left))
    return max(bool(left), see_to(read_claims(CLAIMS, ROOT), read_facts(), write=not arguments.check))


def has_pictures() -> bool:
    """Return whether the packages are installed whose pictures measure what is unfamiliar."""
    return all(importlib.util.find_spec(name) for name in ("skimage", "sklearn"))


def plan(wheels: Path | None) -> list[Step]:
    """Return all steps in order."""
    return [*(step for name in NETWORKS for step in _plan_model(name)), *_plan_pages(wheels)]


def _plan_model(name: str) -> Iterator[Step]:
    """Yield the steps of a model, and of the figures that show it alone."""
    model, trained = f"saved_models/{name}", _in(name, *NETWORKS[name])
    if name in INT8:
        rounded = _in(name, INT8[name])
        yield _step(f"int8-{name}", ("captioner.export.int8", "model", model), trained, rounded)
        known = _in(name, CONFIG, CALIBRATION, NGRAMS)
        yield _step(f"calibrate-{name}", ("captioner", "calibrate", "--model", model), (*trained, *rounded), known)
        trained = (*trained, *rounded, *known)
    measured, metrics = facts_of(name), _in(name, "metrics.json")
    command = ("release.facts", name, _shown(measured))
    yield _step(f"measure-{name}", command, (*trained, SCRIPTS / "facts.py"), (measured, *metrics))
    card = _in(name, "README.md", "training.png")
    known = (*metrics, *_in(name, CONFIG, "history.csv"))
    yield _step(f"card-{name}", ("captioner.training.remake_card", model), known, card)
    for figure, kinds in FIGURES[name].items():
        drawn = tuple(ROOT / "docs" / "figures" / f"{figure}.{kind}" for kind in kinds)
        yield _step(f"figure-{figure}", ("docs.figures.make", figure), trained, drawn)


def _step(name: str, module: Sequence[str], reads: Sequence[Path], writes: Sequence[Path]) -> Step:
    """Return a step that runs a module with its arguments."""
    return Step(name, (sys.executable, "-m", *module), tuple(reads), tuple(writes))


def _plan_pages(wheels: Path | None) -> list[Step]:
    """Return the steps that make or change pages and their pictures."""
    flickr8k, compact, char_lm = (_in(name, *files, CONFIG) for name, files in NETWORKS.items())
    captioners = (*flickr8k, *compact, *(path for name in INT8 for path in _in(name, INT8[name])))
    shown = (*sorted((ROOT / "captioner" / "serve").glob("page.*")), SCRIPTS / "page_picture.py")
    measure = ("release.confidence_page", *(("--wheels", str(wheels)) if wheels else ()))
    # Not among what it writes: below, values in the page's sentences are written too.
    errors = ("benchmarks.what_decides", "--page", "docs/errors.md", "--json", _shown(facts_of("errors")))
    figures = ROOT / "docs" / "figures"
    lesson = ROOT / "notebooks" / "captioning_with_attention.ipynb"
    examples = tuple(ROOT / name for name in EXAMPLES)
    return [
        _step("page", ("release.page_picture",), (*captioners, *shown), (ROOT / "docs" / "page.webp",)),
        _step("confidence", measure, captioners, (confidence_page.PAGE, figures / "confidence.svg")),
        _step(
            "errors",
            errors,
            (*flickr8k, *_in("flickr8k", INT8["flickr8k"])),
            (facts_of("errors"), figures / "what_decides.svg"),
        ),
        # As for a reader without InceptionV3's weights.
        Step("notebook", (sys.executable, "notebooks/execute.py"), compact, (lesson,), without=VARIABLE),
        _step("examples", ("release.examples", *EXAMPLES), (*captioners, *char_lm), examples),
    ]


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _in(name: str, *files: str) -> tuple[Path, ...]:
    return tuple(ROOT / "saved_models" / name / file for file in files)


def facts_of(name: str) -> Path:
    """Return the file that holds what was measured of a model."""
    return BUILD / "facts" / f"{name}.json"


def read_facts() -> dict[str, Any]:
    """Return what was measured of all models.

    Raises:
        CaptionerError: a model has not been measured here, or a page lacks what it should have.
    """
    found: dict[str, Any] = {}
    for name, step in MEASURES.items():
        if not facts_of(name).exists():
            raise CaptionerError(f"{name} has not been measured here; run python -m release.models {step}")
        found[name] = read_json(facts_of(name), "facts")
    found["confidence"] = confidence_page.facts(confidence_page.PAGE.read_text(encoding="utf-8"))
    return found


def see_to(documents: Sequence[Document], facts: dict[str, Any], write: bool) -> int:
    """Compare documents with the facts, and list what differs or has to be read; return 1 if there is anything.

    Args:
        documents: with their claims.
        facts: by name.
        write: put the right values into the documents.

    Raises:
        CaptionerError: a claim names a fact that there is not.
        OSError: a document cannot be read or written.
    """
    listed = 0
    for document in documents:
        text = document.path.read_text(encoding="utf-8")
        found = differences(text, document.claims, facts)
        if write and any(each.said for each in found):
            write_text(document.path, corrected(text, found))
        for each in found:
            _tell(document, each, write)
        if any(each.said for each in found):
            for each in places(text, document.look):
                print(f"{_where(document, each)}: read again: {each.right}")
        listed += len(found)
    print(f"{listed} values or claims differ" if listed else "all documents agree with the models")
    return int(listed > 0)


def _tell(document: Document, each: Difference, write: bool) -> None:
    if each.said:
        print(f"{_where(document, each)}: {each.said!r} {'is now' if write else 'should be'} {each.right!r}")
    else:
        print(f"{document.path.relative_to(ROOT)}: not found: {each.right!r}; correct it there or in {CLAIMS.name}")


def _where(document: Document, each: Difference) -> str:
    return f"{document.path.relative_to(ROOT)}:{each.line}"


if __name__ == "__main__":
    main()
