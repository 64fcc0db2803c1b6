"""The description in a photo's XMP packet, which is RDF in XML."""

import re
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

_RDF, _DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
_META, _LANG = "adobe:ns:meta/ xmpmeta", "http://www.w3.org/XML/1998/namespace lang"
_ROOT, _NODE, _ITEM, _ABOUT = f"{_RDF} RDF", f"{_RDF} Description", f"{_RDF} li", f"{_RDF} about"
_DESCRIPTION, _DEFAULT = f"{_DC} description", "x-default"
_HEAD, _TAIL = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n', b'\n<?xpacket end="w"?>'
_EMPTY_RDF = f'<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF>'.encode()
_EMPTY = _HEAD + b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + _EMPTY_RDF + b"</x:xmpmeta>" + _TAIL
_NOTHING = re.compile(rb"(?:<\?xpacket[^>]*\?>|\xef\xbb\xbf|\s)*")
_START_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_LARGEST = 1 << 20  # bytes; cameras and programs write some thousands
_MOST = 100  # descriptions; a photo has one, and what cannot change it adds a few


def descriptions(packet: bytes | None) -> list[str]:
    """Return each dc:description of the photo: the text for any language, else the first one.

    A valid packet has one at most. Two of them stand in packets that a program did not know how to change.

    Args:
        packet: as it stands in the photo; None for none.

    Raises:
        ValueError: the packet is damaged.
    """
    return [_shown(each) for each in _read(_prepared(packet)).properties]


def with_description(packet: bytes | None, text: str, other_languages: bool = False) -> bytes:
    """Return an XMP packet whose dc:description is `text`, and in which all else is as it was, letter by letter.

    Args:
        packet: as it stands in the photo; None makes a new one.
        text: the description, in no particular language.
        other_languages: keep the descriptions that are there for particular languages.

    Raises:
        ValueError: the packet is damaged.
    """
    xml = _prepared(packet)
    found = _read(xml)
    languages = {_DEFAULT: text}
    if other_languages:
        for language, words in (item for each in found.properties for item in each):
            if language and language.lower() != _DEFAULT:
                languages.setdefault(language, words)
    items = "".join(
        f"<rdf:li xml:lang={quoteattr(language)}>{_escaped(words)}</rdf:li>" for language, words in languages.items()
    )
    block = (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about={quoteattr(found.about)} xmlns:dc="{_DC}"><dc:description>'
        f"<rdf:Alt>{items}</rdf:Alt></dc:description></rdf:Description>"
    ).encode()
    edits = [*((start, end, b"") for start, end in found.spans), _inside(xml, found, block)]
    for start, end, new in sorted(edits, reverse=True):  # the last first, so that the others keep their places
        xml = xml[:start] + new + xml[end:]
    if descriptions(xml) != [text]:
        raise ValueError("its XMP is written in a way that cannot be changed")
    return xml


def _read(xml: bytes) -> "_Reader":
    found = _Reader(xml)
    found.read()
    return found


def _shown(items: list[tuple[str, str]]) -> str:
    """Return the text that programs show: that for any language, else the first, with words in it."""
    ordered = sorted(items, key=lambda item: item[0].lower() != _DEFAULT)
    return next((words for _, words in ordered if words.strip()), "")


def _prepared(packet: bytes | None) -> bytes:
    if packet is None:
        return _EMPTY
    if len(packet) > _LARGEST:
        raise ValueError(f"what other programs keep there has more than {_LARGEST} bytes")
    packet = packet.rstrip(b"\0")
    packet.decode("utf-8")
    return _EMPTY if _NOTHING.fullmatch(packet) else packet


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # which a reader would take for a line feed


def _inside(xml: bytes, found: "_Reader", block: bytes) -> tuple[int, int, bytes]:
    """Return what to write where, so that the block stands at the end of the RDF."""
    if len(found.roots) > 1 or not (found.roots or found.meta):
        raise ValueError("expected one rdf:RDF element")
    if found.roots:
        start, end = found.roots[0]
    else:
        start, end = found.meta[0]
        block = _EMPTY_RDF.replace(b"></", b">" + block + b"</")
    if end >= 0:
        return end, end, block
    tag = _start_tag(xml, start)
    name = re.split(rb"[\s/>]", tag[1:], maxsplit=1)[0]
    slash = start + len(tag) - 2
    return slash, slash + 2, b">" + block + b"</" + name + b">"


def _start_tag(xml: bytes, start: int) -> bytes:
    tag = _START_TAG.match(xml, start)
    if tag is None:  # the parser has let it pass, so it is no plain UTF-8
        raise ValueError("its XMP is written in a way that cannot be changed")
    return tag[0]


@dataclass
class _Reader:
    """What is found in a packet while it is parsed.

    Attributes:
        xml: the packet.
        roots: the bytes at which rdf:RDF elements begin, and at which their end tags do; -1 for those that have none.
        meta: the same of an x:xmpmeta element around all.
        about: what the RDF says that it describes.
        properties: the photo's descriptions, each with its texts by language; "" for a text without.
        spans: the bytes from and to which they stand.
    """

    xml: bytes
    roots: list[tuple[int, int]] = field(default_factory=list)
    meta: list[tuple[int, int]] = field(default_factory=list)
    about: str = ""
    properties: list[list[tuple[str, str]]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.buffer_text = True
        self._open: list[int] = []  # where the elements begin that have no end yet
        self._root = 0  # how many they were with the RDF
        self._in_node = self._in_description = False
        self._prefixes: dict[str, list[str]] = {}
        self._language: str | None = None
        self._words: list[str] = []
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._words.append
        self._parser.StartNamespaceDeclHandler = self._bind
        self._parser.EndNamespaceDeclHandler = self._unbind
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self) -> None:
        """Parse the packet.

        Raises:
            ValueError: it is not valid XML, or has far more descriptions than a photo has.
        """
        try:
            self._parser.Parse(self.xml, True)
        except expat.ExpatError as error:
            raise ValueError(f"not valid XML ({error})") from error

    def _begin(self, *items: tuple[str, str]) -> None:
        if len(self.properties) == _MOST:
            raise ValueError(f"its XMP has more than {_MOST} descriptions, which is not valid XML for a photo")
        self.properties.append(list(items))

    def _bind(self, prefix: str | None, namespace: str | None) -> None:
        self._prefixes.setdefault(prefix or "", []).append(namespace or "")

    def _unbind(self, prefix: str | None) -> None:
        self._prefixes[prefix or ""].pop()

    def _refuse(self, *declared: object) -> None:
        raise ValueError("its XMP declares a document type, which is not valid XML for a photo")

    def _level(self) -> int:
        """Return 1 in the RDF, 2 in what it says of a picture, 3 in a property; more in parts, or in other pictures."""
        return len(self._open) - self._root + 1 if self._root else 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        self._open.append(start)
        if name == _ROOT and not self._root:
            self._root = len(self._open)
        level = self._level()
        if level == 2 and name == _NODE:
            self._in_node = True
            self.about = self.about or attributes.get(_ABOUT, "") or attributes.get("about", "")
            if _DESCRIPTION in attributes:
                self._begin(("", attributes[_DESCRIPTION]))
                self.spans += self._attributes(start)
        elif level == 3 and self._in_node and name == _DESCRIPTION:
            self._in_description = True
            self._begin()
            self._words.clear()
        elif self._in_description and name == _ITEM:
            self._language = attributes.get(_LANG, "")
            self._words.clear()

    def _end(self, name: str) -> None:
        at, start, level = self._parser.CurrentByteIndex, self._open[-1], self._level()
        if self._in_description and name == _ITEM and self._language is not None:
            self.properties[-1].append((self._language, "".join(self._words)))
            self._language = None
        elif self._in_description and level == 3:
            if not self.properties[-1]:
                self.properties[-1].append(("", "".join(self._words)))
            has_end_tag = self._end_tag(start, at) >= 0
            self.spans.append((start, self.xml.index(b">", at) + 1 if has_end_tag else at))
            self._in_description = False
        elif level == 2:
            self._in_node = False
        elif level == 1:
            self.roots.append((start, self._end_tag(start, at)))
            self._root = 0
        elif name == _META and len(self._open) == 1:
            self.meta.append((start, self._end_tag(start, at)))
        self._open.pop()

    def _end_tag(self, start: int, at: int) -> int:
        """Return where an element's end tag stands: `at`, but -1 where the element is one tag, which ends there."""
        return -1 if _start_tag(self.xml, start).endswith(b"/>") else at

    def _attributes(self, start: int) -> list[tuple[int, int]]:
        """Return where a description stands in a start tag as an attribute."""
        names = [
            f"{prefix}:description".encode() for prefix, bound in self._prefixes.items() if bound and bound[-1] == _DC
        ]
        found = _ATTRIBUTE.finditer(_start_tag(self.xml, start))
        return [(start + one.start(), start + one.end()) for one in found if one[1] in names]
