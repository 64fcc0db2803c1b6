"""The settings of what is generated: how captions are searched for, or words and characters drawn."""

from dataclasses import dataclass

from captioner.config.groups import DATA, GENERATION, SAMPLING, SEARCH, WORDING
from captioner.config.setting import setting
from captioner.errors import CaptionerError

LONGEST_SEARCH = 10_000
"""The most words that a search may follow for a photo: the beam width times the words of the longest caption."""


MOST_CAPTIONS = 100
"""The most captions that a photo may have."""


@dataclass(frozen=True)
class DecodingConfig:
    """How a sentence is searched for.

    Raises:
        CaptionerError: `beam_width` times `max_length` is more than `LONGEST_SEARCH`.
    """

    beam_width: int = setting(4, "sentences that the beam search keeps; 1 is the fastest", ge=1, le=1000, group=SEARCH)
    length_penalty: float = setting(
        0.7,
        "values above 0 favour longer captions: a score is the log-probability / length ** length_penalty",
        ge=0.0,
        le=10.0,
        group=SEARCH,
    )
    max_length: int = setting(
        22,
        "the most words in a caption (characters where a language has no spaces), including the end token (T)",
        ge=1,
        le=1000,
        group=DATA,
    )
    no_repeat_ngram_size: int = setting(
        2,
        "no sequence of N words occurs twice in a caption; 2 also prevents 'white and white'; 0 allows both",
        ge=0,
        le=1000,
        group=SEARCH,
        absent=0,
    )

    def __post_init__(self) -> None:
        """Check the two settings that together decide how far a search goes."""
        if self.beam_width * self.max_length > LONGEST_SEARCH:
            raise CaptionerError(
                f"a beam_width of {self.beam_width} with a max_length of {self.max_length} would follow "
                f"{self.beam_width * self.max_length} words, expected at most {LONGEST_SEARCH}; ask for a narrower "
                "beam, fewer captions, or shorter ones"
            )


@dataclass(frozen=True)
class SamplingConfig:
    """How the next word or character is drawn at random; `captioner.decoding.sampling` draws it."""

    temperature: float = setting(
        1.0,
        "draw each word or character at random: below 1 is more careful, above 1 more daring; 0 always takes the most "
        "likely one",
        ge=0.0,
        le=100.0,
        group=SAMPLING,
        default_help="1 for a text; the captions of photos are searched for, not drawn",
    )
    top_k: int = setting(
        0, "draw from the N most likely words or characters; 0 means all", ge=0, le=1_114_112, group=SAMPLING
    )
    top_p: float = setting(
        1.0,
        "draw from the most likely words or characters with a total probability of X; 1 means all",
        ge=1e-6,
        le=1.0,
        group=SAMPLING,
    )
    seed: int | None = setting(
        None,
        "the same seed draws the same text, and for the same photo the same captions",
        ge=0,
        le=2**31 - 1,
        group=SAMPLING,
        default_help="a new one each time",
    )


@dataclass(frozen=True)
class WordingConfig:
    """What a caption must and must not say."""

    begin: str = setting("", "words that each caption begins with", group=WORDING)
    exclude: tuple[str, ...] = setting((), "words that no caption has", group=WORDING, metavar="WORD")


@dataclass(frozen=True)
class GenerationConfig:
    """How far a character language model continues a text, and how often."""

    length: int = setting(500, "characters to write", ge=0, le=100_000_000, group=GENERATION)
    stop: str = setting("", "stop behind the first occurrence of this text in what is written", group=GENERATION)
    num_samples: int = setting(1, "texts to write", ge=1, le=10_000, group=GENERATION)
