"""English words by what they name, and how often captions of each kind of word are right.

The lists have the frequent words of Flickr8k's training captions, sorted by hand. A word stands in one list at most.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from captioner.metrics.caption_statistics import COLOURS, NUMBERS

Words = Sequence[str]
References = Sequence[Sequence[Words]]


def _group(words: str) -> frozenset[str]:
    return frozenset(words.split())


PEOPLE = _group(
    "man men woman women boy boys girl girls child children kid kids baby babies toddler toddlers person people "
    "lady ladies guy guys couple family crowd group team teams player players adult adults someone friends male "
    "female skateboarder snowboarder skier surfer biker bicyclist cyclist climber hiker rider swimmer dancer worker"
)
ANIMALS = _group(
    "dog dogs puppy puppies cat cats horse horses bird birds animal animals duck ducks cow cows goat goats sheep "
    "greyhound greyhounds retriever shepherd poodle terrier"
)
THINGS = _group(
    "shirt shirts t-shirt jacket jackets coat hat hats cap helmet helmets shorts pants jeans dress dresses suit "
    "uniform uniforms outfit costume sunglasses glasses goggles sweater vest jersey swimsuit trunks wetsuit skirt "
    "scarf shoes collar leash backpack bag bags ball balls frisbee toy toys stick sticks bike bikes bicycle "
    "bicycles motorcycle skateboard skateboards snowboard surfboard skis sled boat canoe kayak raft car cars truck "
    "bus train guitar camera cellphone phone rope swing slide ramp rail railing fence bench chair chairs table bed "
    "umbrella flag flags sign balloon balloons bubbles hoop bat racket net pole wheel book food drink cup bottle "
    "ice-cream flowers flower tree trees leaves trampoline hurdle hurdles obstacle fire fountain statue window door "
    "stairs steps"
)
ACTIONS = _group(
    "running runs run playing plays play standing stands stand sitting sits sit walking walks walk jumping jumps "
    "jump holding holds hold riding rides ride looking looks look climbing climbs climb swimming swims swim smiling "
    "smiles carrying carries posing poses pose leaping leaps leap watching watches watch catching catches catch "
    "chasing chases chase flying flies racing race races fighting fight fights talking talks sliding slides "
    "splashing splashes surfing skiing snowboarding skateboarding skating skates dancing dances laughing laughs "
    "eating eats drinking drinks throwing throws kicking kicks pulling pulls pushing pushes swinging swings leaning "
    "leans laying lays lying lies sleeping sleeps digging digs wrestling wrestle hiking hikes paddling rowing "
    "fishing performing performs doing wearing wears dressed biting bites crossing waiting waits falling falls "
    "reading hugging kissing sledding"
)
PLACES = _group(
    "water ocean sea lake river pool pond stream beach shore sand wave waves snow ice grass field lawn park yard "
    "backyard garden playground street road sidewalk city building buildings house store wall woods forest trail "
    "path hill hillside mountain mountains rock rocks cliff dirt mud ground floor room kitchen restaurant stage gym "
    "court track course arena stadium bridge dock sky air background market parking lot desert"
)
POSITIONS = _group(
    "in on at through over into off under down up across along behind beside near against around between above "
    "below inside outside front next toward towards onto"
)

KINDS: Mapping[str, frozenset[str]] = {
    "people": PEOPLE,
    "animals": ANIMALS,
    "things and clothes": THINGS,
    "places": PLACES,
    "actions": ACTIONS,
    "positions": POSITIONS,
    "colours": COLOURS,
    "numbers": NUMBERS,
}
"""Kinds by name, in the order of the tables."""


@dataclass(frozen=True)
class Count:
    """How often the words of a kind were right.

    Attributes:
        said: words of captions, each once a caption.
        right: of these, the words that somebody used who described the photo.
        wanted: words that at least two people used of a photo, each once a photo.
        found: of these, the words that the caption has.
    """

    said: int
    right: int
    wanted: int
    found: int

    @property
    def precision(self) -> float:
        """The share of said words that are right, 0 where nothing was said."""
        return self.right / self.said if self.said else 0.0

    @property
    def recall(self) -> float:
        """The share of wanted words that were found, 0 where nothing was wanted."""
        return self.found / self.wanted if self.wanted else 0.0

    def __add__(self, other: "Count") -> "Count":
        """Return the sum of both."""
        return Count(*(one + another for one, another in zip(_parts(self), _parts(other), strict=True)))


def _parts(count: Count) -> tuple[int, int, int, int]:
    return count.said, count.right, count.wanted, count.found


def count_words(captions: Sequence[Words], references: References, kind: Set[str]) -> Count:
    """Hold the words of a kind in captions, one a photo, against what people said of the same photos."""
    total = Count(0, 0, 0, 0)
    for words, others in zip(captions, references, strict=True):
        mine = kind & set(words)
        times = people_using(others)
        wanted = {word for word, count in times.items() if count >= 2 and word in kind}
        total += Count(len(mine), len(mine & times.keys()), len(wanted), len(wanted & mine))
    return total


def people_using(captions: Iterable[Words]) -> dict[str, int]:
    """Return how many of some people used each word."""
    found: dict[str, int] = {}
    for words in captions:
        for word in set(words):
            found[word] = found.get(word, 0) + 1
    return found


def against_one_person(captions: Sequence[Words], references: References, kind: Set[str]) -> tuple[Count, Count]:
    """Count for captions and for people, both against the same others: in turn, each person against those who are left.

    Photos have equally many references.
    """
    model, person = Count(0, 0, 0, 0), Count(0, 0, 0, 0)
    for number in range(len(references[0])):
        others = [[*each[:number], *each[number + 1 :]] for each in references]
        model += count_words(captions, others, kind)
        person += count_words([each[number] for each in references], others, kind)
    return model, person
