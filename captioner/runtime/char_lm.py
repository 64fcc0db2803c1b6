"""A trained character language model in use: it continues a text, completes a word, and scores."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from captioner.config.model import CharModelConfig
from captioner.decoding.completion import States, completions
from captioner.decoding.sampling import draw, next_distribution
from captioner.model_files.directory import WEIGHTS, CharLMDirectory
from captioner.model_files.shipped import model_directory
from captioner.runtime.adaptation import Adaptation
from captioner.runtime.char_network import CharNetwork, weight_shapes
from captioner.text import CHARACTER_SPECIAL_TOKENS, CharacterVocabulary

WINDOW = 1024
"""Characters of a given text that are read together; more would only cost memory."""

LARGEST_WINDOW = 1 << 26
"""Probabilities that are held together: of a model with very many characters fewer are read at once."""


@dataclass(frozen=True)
class Suggestion:
    """A continuation, up to and including the next space.

    Attributes:
        text: the characters, the last of which is white space.
        probability: that the model continues with exactly these.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class LanguageModel:
    """A vocabulary and a network over its characters.

    All probabilities are those of a text that begins where the prompt begins: the start token stands before it.
    """

    vocabulary: CharacterVocabulary
    network: CharNetwork

    @classmethod
    def load(cls, directory: str | Path) -> "LanguageModel":
        """Read a model directory that `train.py --task char-lm` wrote, or a shipped one by its name, "char-lm".

        Raises:
            CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
        """
        config, vocabulary, weights = load_char_model(model_directory(directory))
        return cls(vocabulary, CharNetwork(config, weights))

    def generate(
        self,
        prompt: str,
        length: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        rng: np.random.Generator | None = None,
    ) -> Iterator[str]:
        """Yield `length` characters that continue `prompt`, as they are made.

        Args:
            prompt: may be empty; characters outside the vocabulary are left out.
            length: characters to make.
            temperature: below 1 is more careful, above 1 more daring; 0 always takes the likeliest character.
            top_k: draw from so many likeliest characters; 0 means all.
            top_p: draw from the likeliest characters that hold this probability together; 1 means all.
            rng: decides what is drawn.
        """
        rng = rng or np.random.default_rng()
        log_probs, states = self._read(prompt)
        for _ in range(length):
            token = draw(next_distribution(log_probs, temperature, top_k, top_p), rng.random())
            yield self.vocabulary.tokens[token]
            log_probs, states = self._step(token, states)

    def suggest(self, prompt: str, count: int) -> list[Suggestion]:
        """Return the `count` most probable continuations of `prompt` up to the next white space, best first.

        Two suggestions may differ in that space alone: a word may be followed by a blank or by a new line.
        """
        spaces = {number for number, token in enumerate(self.vocabulary.tokens) if token.isspace()}
        log_probs, states = self._read(prompt)
        found = completions(self._step, log_probs, states, spaces, count)
        return [Suggestion(self.vocabulary.decode(each.tokens), float(np.exp(each.log_prob))) for each in found]

    def surprisals(
        self, text: str, seen: Callable[[int], object] = lambda characters: None, adapt: bool = False
    ) -> np.ndarray:
        """Return -ln p(character | all before it) of each of the N characters, float32 (N,).

        A character outside the vocabulary is read, and scored, as `<unk>`. For a text that does not fit in memory, see
        `stream_surprisals`.

        Args:
            text: N characters.
            seen: called with the number of characters read since its last call.
            adapt: whether to learn from the text while reading it.
        """
        surprisals = np.empty(len(text), np.float32)
        done = 0
        for characters, some in self.stream_surprisals([text], adapt):
            surprisals[done : done + len(some)] = some
            done += len(some)
            seen(len(characters))
        return surprisals

    def stream_surprisals(self, pieces: Iterable[str], adapt: bool = False) -> Iterator[tuple[str, np.ndarray]]:
        """Score a text of any length that comes in pieces, and hold no more of it than a piece.

        `likelihood.RunningLikelihood` sums up what comes.

        Args:
            pieces: of one text, in its order, such as an open file; where it is cut changes nothing.
            adapt: whether to mix the network's predictions with those of an n-gram cache of what was read before
                (`runtime.adaptation`). It begins empty with each call.

        Yields:
            The next n characters, and -ln p(character | all before it) of each, float32 (n,).
        """
        states = self.network.initial_states(1)
        last = self.vocabulary.start
        adaptation = Adaptation(len(self.vocabulary)) if adapt else None
        for characters in _windows(pieces, self._window()):
            tokens = self.vocabulary.encode(characters).astype(np.intp)
            log_probs, states = self.network(np.concatenate([[last], tokens[:-1]])[None], states)
            if adaptation:
                yield characters, adaptation.surprisals(log_probs[0], tokens)
            else:
                yield characters, -np.take_along_axis(log_probs[0], tokens[:, None], axis=-1)[:, 0]
            last = tokens[-1]

    def _read(self, prompt: str) -> tuple[np.ndarray, States]:
        known = self.vocabulary.encode(prompt)
        tokens = np.concatenate([[self.vocabulary.start], known[known != self.vocabulary.unknown]]).astype(np.intp)
        states = self.network.initial_states(1)
        size = self._window()
        for first in range(0, len(tokens), size):
            log_probs, states = self.network(tokens[None, first : first + size], states)
        return _without_special(log_probs[0, -1]), states

    def _window(self) -> int:
        return max(1, min(WINDOW, LARGEST_WINDOW // len(self.vocabulary)))

    def _step(self, token: int, states: States) -> tuple[np.ndarray, States]:
        log_probs, states = self.network(np.array([[token]]), states)
        return _without_special(log_probs[0, 0]), states


def load_char_model(directory: str | Path) -> tuple[CharModelConfig, CharacterVocabulary, dict[str, np.ndarray]]:
    """Read the sizes, the characters and the weights by name of a model directory.

    Raises:
        CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
    """
    model = CharLMDirectory.read(directory)
    return model.config, model.vocabulary(), model.arrays(WEIGHTS, weight_shapes(model.config))


def until(characters: Iterable[str], stop: str) -> Iterator[str]:
    """Yield characters up to and with the first occurrence of the text `stop`; all of them where it is empty."""
    last = ""
    for character in characters:
        yield character
        last = (last + character)[-len(stop) :] if stop else ""
        if stop and last == stop:
            return


def _windows(pieces: Iterable[str], size: int) -> Iterator[str]:
    """Yield the characters of `pieces`, `size` at a time; the last may be fewer."""
    rest = ""
    for piece in pieces:
        waiting = rest + piece
        whole = len(waiting) - len(waiting) % size
        for first in range(0, whole, size):
            yield waiting[first : first + size]
        rest = waiting[whole:]
    if rest:
        yield rest


def _without_special(log_probs: np.ndarray) -> np.ndarray:
    """Exclude the tokens that are no characters, without redistributing their small probability."""
    log_probs[: len(CHARACTER_SPECIAL_TOKENS)] = -np.inf
    return log_probs
