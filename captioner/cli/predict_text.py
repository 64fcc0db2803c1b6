"""`predict --prompt | --suggest | --score`: a character language model at work on a text."""

import argparse
import json
from pathlib import Path
from typing import IO, TYPE_CHECKING

from captioner.cli.arguments import add_setting
from captioner.cli.main import note
from captioner.config import GenerationConfig, SamplingConfig
from captioner.data.shipped import shipped_model
from captioner.errors import CaptionerError, UsageError
from captioner.files import write_text
from captioner.options import flags, given
from captioner.printable import in_lines, to_json
from captioner.progress import progress_bar
from captioner.setting import settings_of

if TYPE_CHECKING:
    import numpy as np

    from captioner.runtime.char_lm import LanguageModel

TEXT_OPTIONS = ("prompt", "suggest", "score", "surprise", *settings_of(GenerationConfig))
"""What only language models have."""
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
        type=_count,
        help="instead, print the N most likely continuations up to the next space",
    )
    group.add_argument(
        "--score", metavar="FILE", type=Path, help="print how likely this text is (also as --format json)"
    )
    group.add_argument(
        "--surprise",
        metavar="FILE.html",
        type=Path,
        help="with --score or --prompt: also write a page that colours each character by its surprise",
    )


def run_text(arguments: argparse.Namespace, file: IO[str]) -> int:
    """Do what is asked for, and write the result to `file`."""
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
        _write_page(arguments.surprise, text, _surprisals(model, text))
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
    from captioner.data.corpus import read_text_file
    from captioner.metrics.likelihood import likelihood

    text = read_text_file(arguments.score)
    if not text:
        raise CaptionerError(f"the text {arguments.score} is empty; there is nothing to score")
    unknown = model.vocabulary.unknown_in(text)
    if unknown:
        some = ", ".join(repr(character) for character in unknown[:10]) + (", ..." if len(unknown) > 10 else "")
        note(f"{arguments.score}: the model does not know {some}; scored as <unk>")
    surprisals = _surprisals(model, text)
    scores = likelihood(surprisals)
    if arguments.surprise:
        _write_page(arguments.surprise, text, surprisals)
    if arguments.format == "json":
        file.write(json.dumps(scores) + "\n")
        return
    for key, value in scores.items():
        file.write(f"{key.replace('_', ' '):<15}  {value if isinstance(value, int) else f'{value:.4f}'}\n")


def _write_page(path: Path, text: str, surprisals: "np.ndarray") -> None:
    from captioner.cli.surprisal import surprisal_page

    write_text(path, surprisal_page(text, surprisals))


def _surprisals(model: "LanguageModel", text: str) -> "np.ndarray":
    with progress_bar(total=len(text), unit="char", unit_scale=True, delay=2, leave=False) as bar:
        return model.surprisals(text, bar.update)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 1000, found {text!r}")
    return int(text)
