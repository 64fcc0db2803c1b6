"""`predict --prompt | --suggest | --score`: use a character language model on a text."""

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from captioner.cli.arguments import add_setting, count_up_to
from captioner.cli.main import note
from captioner.config.decoding import GenerationConfig, SamplingConfig
from captioner.config.options import flags, given
from captioner.config.setting import settings_of
from captioner.errors import CaptionerError, UsageError
from captioner.model_files.shipped import shipped_model
from captioner.system.files import write_text
from captioner.system.printable import in_lines, to_json
from captioner.system.progress import progress_bar

if TYPE_CHECKING:
    from captioner.data.corpus import TextFile
    from captioner.runtime.char_lm import LanguageModel
    from captioner.text import CharacterVocabulary

TEXT_OPTIONS = ("prompt", "suggest", "score", "adapt", "surprise", *settings_of(GenerationConfig))
"""What only language models have."""
MOST_NAMED = 10
"""Unknown characters of a text that are named; a book in another script has thousands."""

GENERATION_OPTIONS = (*settings_of(GenerationConfig), *settings_of(SamplingConfig))


def add_text(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a character language model."""
    group = parser.add_argument_group(
        "character language model", "A model of `train.py --task char-lm`; by default, --model is saved_models/char-lm."
    )
    group.add_argument("--prompt", metavar="TEXT", help="continue this text")
    for each in settings_of(GenerationConfig).values():
        add_setting(group, each)
    group.add_argument(
        "--suggest",
        metavar="N",
        type=count_up_to(1000),
        help="instead, print the N most likely continuations up to the next space",
    )
    group.add_argument(
        "--score",
        metavar="FILE",
        type=Path,
        help="print how likely this text is (also as --format json); it may have any length, and - is standard input",
    )
    group.add_argument(
        "--adapt",
        action="store_true",
        help="with --score: let the model adapt to the text while it reads. Each character is then predicted from what "
        "the network expects and from what followed the same last characters earlier in this text, so a name or phrase "
        "is surprising only the first time. Nothing is kept. Do not compare the result with scores without --adapt",
    )
    group.add_argument(
        "--surprise",
        metavar="FILE.html",
        type=Path,
        help="with --score or --prompt: also write a page that colours each character by its surprise",
    )


def run_text(arguments: argparse.Namespace, file: IO[str]) -> int:
    """Run the request, and write the result to `file`."""
    _check(arguments)

    from captioner.runtime.char_lm import LanguageModel

    model = LanguageModel.load(arguments.model or shipped_model("char-lm"))
    if arguments.score is not None:
        _score(model, arguments, file)
        return 0
    prompt = _known(model, arguments.prompt)
    if arguments.suggest is not None:
        text = prompt
        _suggest(model, prompt, arguments, file)
    else:
        text = _generate(model, prompt, arguments, file)
    if arguments.surprise:
        from captioner.cli.surprisal import surprisal_page

        with _progress(len(text)) as bar:
            write_text(arguments.surprise, surprisal_page(text, model.surprisals(text, bar.update)))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Raise UsageError when the options do not make one request."""
    generation = flags(name for name in GENERATION_OPTIONS if getattr(arguments, name) is not None)
    if arguments.prompt is None and arguments.score is None:
        raise UsageError("a language model needs --prompt TEXT or --score FILE")
    if arguments.prompt is not None and arguments.score is not None:
        raise UsageError("--prompt and --score are two requests; give one at a time")
    if arguments.score is not None and arguments.suggest is not None:
        raise UsageError("--suggest goes with --prompt, not with --score")
    if arguments.adapt and arguments.score is None:
        raise UsageError("--adapt says how --score reads a text; give --score FILE, or leave out --adapt")
    if generation and (arguments.score is not None or arguments.suggest is not None):
        raise UsageError(f"{generation}: only for writing text: with --prompt and without --suggest")
    if arguments.format == "csv":
        raise UsageError("--format csv: only for captions; give text or json")
    if arguments.surprise and (arguments.num_samples or 1) > 1:
        raise UsageError("--surprise shows one text; leave out --num-samples")


def _known(model: "LanguageModel", prompt: str) -> str:
    """Return the prompt without the characters that the model does not know, which are named."""
    unknown = model.vocabulary.unknown_in(prompt)
    if unknown:
        note(f"--prompt: the model does not know {_named(unknown)}; left out")
    return "".join(character for character in prompt if character not in unknown)


def _named(characters: list[str]) -> str:
    return ", ".join(repr(character) for character in characters)


def _generate(model: "LanguageModel", prompt: str, arguments: argparse.Namespace, file: IO[str]) -> str:
    """Write the samples as they are made, and return the last one with its prompt."""
    import numpy as np

    from captioner.cli.results import is_terminal
    from captioner.runtime.char_lm import until

    settings = GenerationConfig(**given(vars(arguments), GenerationConfig))
    sampling = SamplingConfig(**given(vars(arguments), SamplingConfig))
    if unknown := model.vocabulary.unknown_in(settings.stop):
        note(f"--stop: the model does not know {_named(unknown)}, so that it never writes this text")
    several = settings.num_samples > 1
    terminal = is_terminal(file)
    text = ""
    for sample in range(settings.num_samples):
        generated = model.generate(
            prompt,
            settings.length,
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
            # A sample does not depend on how many there are.
            np.random.default_rng(np.random.SeedSequence(sampling.seed, spawn_key=(sample,))),
        )
        characters = until(generated, settings.stop)
        if arguments.format == "json":
            text = prompt + "".join(characters)
            record = {"sample": sample + 1} if several else {}
            file.write(to_json({**record, "prompt": prompt, "text": text}) + "\n")
            continue
        begun = f"--- {sample + 1} ---\n{prompt}" if several else prompt
        file.write(in_lines(begun) if terminal else begun)
        file.flush()
        text = prompt
        for character in characters:
            file.write(in_lines(character) if terminal else character)
            file.flush()
            text += character
        if not text.endswith("\n"):
            file.write("\n")
    return text


def _suggest(model: "LanguageModel", prompt: str, arguments: argparse.Namespace, file: IO[str]) -> None:
    suggestions = model.suggest(prompt, arguments.suggest)
    if len(suggestions) < arguments.suggest:
        note(f"--suggest {arguments.suggest}: found only {len(suggestions)}")
    if arguments.format == "json":
        found = [{"text": each.text, "probability": each.probability} for each in suggestions]
        file.write(to_json({"prompt": prompt, "suggestions": found}) + "\n")
        return
    for each in suggestions:
        file.write(f"{each.probability:.4f}\t{to_json(each.text)}\n")


def _score(model: "LanguageModel", arguments: argparse.Namespace, file: IO[str]) -> None:
    """Read the text twice, in pieces: its faults are reported before the long work begins."""
    from captioner.cli.surprisal import written_page
    from captioner.data.corpus import TextFile
    from captioner.metrics.likelihood import RunningLikelihood

    likelihood = RunningLikelihood()
    unix = bool(model.vocabulary.unknown_in("\r"))
    with TextFile(arguments.score) as text, ExitStack() as open_page:
        length = _looked_through(text, unix, model.vocabulary)
        page = (
            open_page.enter_context(written_page(arguments.surprise, arguments.adapt)) if arguments.surprise else None
        )
        with _progress(length) as bar:
            for characters, surprisals in model.stream_surprisals(text.pieces(unix), arguments.adapt):
                likelihood.add(surprisals)
                if page:
                    page.add(characters, surprisals)
                bar.update(len(characters))
        if likelihood.characters != length:
            raise CaptionerError(f"the text {text.path} changed while it was scored; run the same command again")
    scores = likelihood.scores()
    if arguments.format == "json":
        file.write(json.dumps(({"adapted": True} if arguments.adapt else {}) | scores) + "\n")
        return
    if arguments.adapt:
        file.write("adapted to the text while reading it\n")
    for key, value in scores.items():
        file.write(f"{key.replace('_', ' '):<15}  {value if isinstance(value, int) else f'{value:.4f}'}\n")


def _looked_through(text: "TextFile", unix: bool, vocabulary: "CharacterVocabulary") -> int:
    """Return the number of characters, and report the first that the model does not know.

    Args:
        text: what is to be scored.
        unix: how it is read, as `TextFile.pieces` has it.
        vocabulary: of the model.

    Raises:
        CaptionerError: the text is empty, or not UTF-8.
    """
    length = 0
    unknown: dict[str, None] = {}
    for piece in text.pieces(unix):
        length += len(piece)
        if len(unknown) <= MOST_NAMED:
            unknown |= dict.fromkeys(vocabulary.unknown_in(piece))
    if not length:
        raise CaptionerError(f"the text {text.path} is empty; there is nothing to score")
    if unknown:
        some = _named(list(unknown)[:MOST_NAMED]) + (", ..." if len(unknown) > MOST_NAMED else "")
        note(f"{text.path}: the model does not know {some}; scored as <unk>")
    return length


def _progress(characters: int) -> Any:
    return progress_bar(total=characters, unit="char", unit_scale=True, delay=2, leave=False)
