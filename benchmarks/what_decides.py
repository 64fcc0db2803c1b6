"""What decides how good a caption is: by photo, by word, and by how far people agree.

Captions Flickr8k's dev photos as `predict` does, by the network alone and with consensus, and holds both against
the references. Flickr8k comes from --data or $CAPTIONER_DATA.

    python -m benchmarks.what_decides [--model saved_models/flickr8k] [--page docs/errors.md] [--json FILE]

Prints tables in Markdown. --page also puts them into a page, each between `<!-- what_decides: NAME -->` and
`<!-- end -->`, and draws `what_decides.svg` in `figures/` beside it.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it

import numpy as np
from photo_groups import (
    agreement,
    difference,
    kinds_of,
    part,
    quarters,
    rank_correlation,
    repeated,
    with_rare_words,
)
from word_kinds import KINDS, Count, References, Words, against_one_person, count_words

from captioner import Captioner
from captioner.data.dataset import Example
from captioner.data.flickr8k import find_or_download
from captioner.decoding.consensus import chosen
from captioner.errors import CaptionerError, PhotoError
from captioner.metrics.caption_statistics import caption_statistics
from captioner.metrics.cider import CiderD
from captioner.model_files.shipped import model_directory
from captioner.runtime.captioner import AT_ONCE
from captioner.system.files import write_json, write_text
from captioner.system.progress import progress_bar
from captioner.text import normalise
from docs.figures.what_decides import draw_parts

END = "<!-- end -->"
"""What stands below a table in a page."""

Analysis = Mapping[str, Any]
"""Numbers by the name of their table, and then by that of their row."""


@dataclass(frozen=True)
class Said:
    """What a model says of N photos.

    Attributes:
        beams: the captions that the search found for each, the likeliest first.
        chosen: those that are chosen by consensus; the likeliest for a model that does not choose.
        of_none: the caption of the mean of all features, which is what the model says where it sees nothing.
    """

    beams: Sequence[Sequence[Words]]
    chosen: Sequence[Words]
    of_none: Words

    @property
    def alone(self) -> list[Words]:
        """The captions of the network alone."""
        return [beam[0] for beam in self.beams]


def main() -> None:
    """Measure, print, and write what is asked for; a message where something is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.what_decides",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=ROOT / "saved_models" / "flickr8k", help="a captioning model")
    parser.add_argument("--data", help="the folder with Flickr8k (default: $CAPTIONER_DATA)")
    parser.add_argument("--page", type=Path, help="the page to put the tables into")
    parser.add_argument("--json", type=Path, help="the file to write all numbers to")
    arguments = parser.parse_args()
    try:
        found = measure(arguments.model, arguments.data)
        tables = {name: make(found) for name, make in TABLES.items()}
        print("\n\n".join(tables.values()))
        if arguments.json:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            write_json(arguments.json, found)
        if arguments.page:
            write_text(arguments.page, with_tables(arguments.page.read_text(encoding="utf-8"), tables))
            draw_parts(arguments.page.parent / "figures" / "what_decides.svg", found)
    except KeyboardInterrupt:
        sys.exit("stopped; nothing was written")
    except (CaptionerError, OSError) as error:
        sys.exit(f"python -m benchmarks.what_decides: {error}")


def measure(model: Path, data: str | None) -> Analysis:
    """Caption dev, and return all numbers.

    Raises:
        CaptionerError: the model or the data cannot be used.
    """
    dataset = find_or_download(data)
    captioner = Captioner.load(model_directory(model))
    said = read(captioner, dataset.split("dev"))
    references, training = _words(dataset.split("dev")), _words(dataset.split("train"))
    return analyse(said, references, training, captioner.vocabulary.tokens)


def _words(examples: Sequence[Example]) -> References:
    return [[normalise(caption) for caption in example.captions] for example in examples]


def read(captioner: Captioner, examples: Sequence[Example]) -> Said:
    """Caption photos with and without consensus.

    Raises:
        PhotoError: one cannot be read.
    """
    alone = captioner.with_settings()
    alone.ngram_regression = None
    known, regression, decode = captioner.calibration, captioner.ngram_regression, captioner.vocabulary.decode
    beams: list[list[Words]] = []
    best: list[Words] = []
    total = np.zeros(())
    photos = [example.image for example in examples]
    with progress_bar(captioner.features(photos), total=len(photos), desc="dev", unit="photo") as bar:
        each_of = iter(bar)
        while group := [_features(found) for _, found in islice(each_of, AT_ONCE)]:
            features = np.stack(group)  # (B, L, D)
            found, total = alone.search(features), total + features.sum(axis=0, dtype=np.float64)
            beams += [[decode(each.tokens) for each in beam] for beam in found]
            if known and regression:
                factors = regression.factors(known.standardised(features))
                found = [chosen(*each, regression, captioner.vocabulary) for each in zip(found, factors, strict=True)]
            best += [decode(beam[0].tokens) for beam in found]
    ((of_none, *_),) = alone.search((total / len(photos)).astype(np.float32)[None])
    return Said(beams, best, decode(of_none.tokens))


def _features(found: np.ndarray | PhotoError) -> np.ndarray:
    if isinstance(found, PhotoError):
        raise found
    return found


def analyse(said: Said, references: References, training: References, vocabulary: Sequence[str]) -> Analysis:
    """Return all numbers of the tables.

    Args:
        said: of N photos.
        references: of the same photos, equally many each.
        training: what people said of the training photos.
        vocabulary: the words that the model can say.
    """
    cider = CiderD(references)
    ways = {"alone": cider.scores(said.alone), "chosen": cider.scores(said.chosen), "people": agreement(references)}
    kinds, kinds_before = kinds_of(references), kinds_of(training)
    return {
        "all": _parts(ways, np.full(len(references), True)),
        "rare": _rare(said, references, training, ways, vocabulary),
        "kinds": {
            name: {**_parts(ways, mine), "trained": float(kinds_before[name].mean())} for name, mine in kinds.items()
        },
        "words": {name: _words_of(said.chosen, references, kind) for name, kind in KINDS.items()},
        "agreement": {
            "quarters": [_parts(ways, numbers) for numbers in quarters(ways["people"])],
            "correlation": rank_correlation(ways["people"], ways["chosen"]),
        },
        "groundless": {
            "model": _statistics(said.chosen, references, training),
            "person": _statistics([each[0] for each in references], [each[1:] for each in references], training),
            "vocabulary": len(vocabulary),
        },
        "candidates": _candidates(said, cider),
        "photo": {
            "own": 100 * float(ways["alone"].mean()),
            "next": 100 * float(cider.scores([*said.alone[1:], said.alone[0]]).mean()),
            "none": 100 * float(cider.scores([said.of_none] * len(references)).mean()),
            "of_none": " ".join(said.of_none),
        },
    }


def _parts(ways: Mapping[str, np.ndarray], mine: np.ndarray) -> dict[str, Any]:
    """Describe a group by the ways to caption it, and the `gap` from people to the model; empty for no photos."""
    found: dict[str, Any] = {way: asdict(part(scores[mine])) for way, scores in ways.items() if scores[mine].size}
    return {**found, "gap": asdict(part((ways["chosen"] - ways["people"])[mine]))} if found else {}


def _rare(
    said: Said,
    references: References,
    training: References,
    ways: Mapping[str, np.ndarray],
    vocabulary: Sequence[str],
) -> dict[str, Any]:
    """Compare photos with and without rare words, and count these words."""
    mine, rare = with_rare_words(references, training)
    known = set(vocabulary)
    gap = difference(ways["chosen"][~mine], ways["chosen"][mine]) if 0 < mine.sum() < len(mine) else (0.0, 0.0, 0.0)
    return {
        "with": _parts(ways, mine),
        "without": _parts(ways, ~mine),
        "gap": dict(zip(("mean", "low", "high"), gap, strict=True)),
        "words": sum(map(len, rare)),
        "frequent": frequent([word for words in rare for word in sorted(words)], 3),
        "known": sum(len(words & known) for words in rare),
        "said": sum(len(words & set(caption)) for words, caption in zip(rare, said.chosen, strict=True)),
    }


def frequent(words: Sequence[str], count: int) -> list[str]:
    """Return the most frequent words, those that are equally frequent by the alphabet."""
    counts = Counter(words)
    return sorted(counts, key=lambda word: (-counts[word], word))[:count]


def _words_of(captions: Sequence[Words], references: References, kind: Set[str]) -> dict[str, Any]:
    """Return how many words of a kind captions have, and how right and how complete these and a person's are."""
    model, person = against_one_person(captions, references, kind)
    number = count_words(captions, references, kind).said
    return {"said": number, "model": _shares(model), "person": _shares(person)}


def _shares(count: Count) -> dict[str, float]:
    return {**asdict(count), "precision": count.precision, "recall": count.recall}


def _statistics(captions: Sequence[Words], references: References, training: References) -> dict[str, float]:
    """Return the statistics of captions, and how many another photo has too, in per cent."""
    found = caption_statistics(captions, references, [words for each in training for words in each])
    return {**found, "repeated": 100 * repeated(captions) / len(captions)}


def _candidates(said: Said, cider: CiderD) -> dict[str, float]:
    """Return the CIDEr-D x 100 of the likeliest caption, the chosen one, the mean and the best of all found."""
    scores = [[cider.score(number, words) for words in beam] for number, beam in enumerate(said.beams)]
    first, best = np.array([each[0] for each in scores]), np.array([max(each) for each in scores])
    return {
        "count": len(said.beams[0]),
        "first": 100 * float(first.mean()),
        "chosen": 100 * float(cider.scores(said.chosen).mean()),
        "mean": 100 * float(np.mean([np.mean(each) for each in scores])),
        "best": 100 * float(best.mean()),
        "first_is_best": float(np.mean(first >= best)),
    }


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """Return a page with tables in their places.

    Raises:
        CaptionerError: a place is missing.
    """
    for name, made in tables.items():
        begin = f"<!-- what_decides: {name} -->\n"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise CaptionerError(f"the page has no place for {name}; expected {begin.strip()} and {END}")
        page = f"{before}{begin}\n{made}\n\n{END}{after}"
    return page


def table(heading: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown whose numbers stand to the right."""
    columns = heading.count("|") + 1
    lines = [heading, "---|" + "|".join(["--:"] * (columns - 1)), *(" | ".join(row) for row in rows)]
    return "\n".join(f"|{line}|" if line.startswith("---") else f"| {line} |" for line in lines)


def _scores(parts: Mapping[str, Any]) -> list[str]:
    """Write the scores of a group: alone, chosen, people, and the interval of the difference of the last two."""
    interval = f"{parts['gap']['low']:+.0f} to {parts['gap']['high']:+.0f}"
    return [*(f"{parts[way]['score']:.1f}" for way in ("alone", "chosen", "people")), interval]


WAYS = "the network alone | with consensus | one person | the model less the person, 95%"


def rare_table(found: Analysis) -> str:
    """Return the scores of photos with and without rare words."""
    rows = [
        [name, str(parts["chosen"]["photos"]), *_scores(parts)]
        for name, parts in (("a rare word", found["rare"]["with"]), ("no rare word", found["rare"]["without"]))
        if parts
    ]
    rows.append(["all", str(found["all"]["chosen"]["photos"]), *_scores(found["all"])])
    return table(f"the photo has | photos | {WAYS}", rows)


def kinds_table(found: Analysis) -> str:
    """Return the scores of kinds of photos, the best first."""
    kinds = {name: parts for name, parts in found["kinds"].items() if "chosen" in parts}
    order = sorted(kinds, key=lambda name: -kinds[name]["chosen"]["score"])
    rows = [
        [name, str(kinds[name]["chosen"]["photos"]), f"{kinds[name]['trained']:.0%}", *_scores(kinds[name])]
        for name in order
    ]
    return table(f"kind | photos | of the training photos | {WAYS}", rows)


def words_table(found: Analysis) -> str:
    """Return how often words of each kind are right and found, for the model and for a person."""
    rows = []
    for name, both in found["words"].items():
        model, person = both["model"], both["person"]
        shares = (model["precision"], person["precision"], model["recall"], person["recall"])
        rows.append([name, ", ".join(EXAMPLES[name]), str(both["said"]), *(f"{each:.0%}" for each in shares)])
    return table(
        "kind | such as | the model's words | right: the model | one person | found: the model | one person", rows
    )


EXAMPLES = {
    "people": ("man", "girl", "group"),
    "animals": ("dog", "bird"),
    "things and clothes": ("ball", "shirt"),
    "places": ("grass", "street"),
    "actions": ("running", "holds"),
    "positions": ("in", "through"),
    "colours": ("red", "blond"),
    "numbers": ("two", "three"),
}


def agreement_table(found: Analysis) -> str:
    """Return the scores of photos by how far people agree."""
    names = ("agree least", "second quarter", "third quarter", "agree most")
    rows = [[name, *_scores(parts)] for name, parts in zip(names, found["agreement"]["quarters"], strict=True)]
    return table(f"people | {WAYS}", rows)


def groundless_table(found: Analysis) -> str:
    """Return what is said without ground, and how captions repeat, for the model and for a person."""
    model, person = found["groundless"]["model"], found["groundless"]["person"]
    rows = [
        [text, *(f"{each[name]:{form}}" for each in (model, person))]
        for name, text, form in (
            ("groundless_colours", "a colour that nobody else named, % of captions with a colour", ".0f"),
            ("groundless_numbers", "a number that nobody else named, % of captions with a number", ".0f"),
            ("wrong_gender", "the other gender, % of captions that tell it", ".0f"),
            ("repeated", "the same caption as for another photo, %", ".1f"),
            ("copied", "the same as a training caption, %", ".1f"),
            ("mean_length", "words per caption", ".1f"),
            ("distinct_words", "different words", "d"),
        )
    ]
    return table("what | the model | one person", rows)


def candidates_table(found: Analysis) -> str:
    """Return the scores of the captions that a search finds, by who chooses."""
    scores = found["candidates"]
    rows = [
        [text, f"{scores[name]:.1f}"]
        for name, text in (
            ("mean", "any of them, at random"),
            ("first", "the likeliest (the network alone)"),
            ("chosen", "the one chosen by consensus"),
            ("best", "the best, chosen by somebody who knows the references"),
        )
    ]
    return table("which caption | CIDEr-D", rows)


def photo_table(found: Analysis) -> str:
    """Return the scores where the model sees the photo, another one, or none."""
    scores = found["photo"]
    rows = [
        [text, f"{scores[name]:.1f}"]
        for name, text in (
            ("own", "the photo"),
            ("next", "another photo"),
            ("none", "the mean of all photos"),
        )
    ]
    return table("the model sees | CIDEr-D", rows)


TABLES: Mapping[str, Callable[[Analysis], str]] = {
    "kinds": kinds_table,
    "rare": rare_table,
    "words": words_table,
    "groundless": groundless_table,
    "agreement": agreement_table,
    "candidates": candidates_table,
    "photo": photo_table,
}
"""What is printed, in this order."""

if __name__ == "__main__":
    main()
