"""The description in a photo's XMP packet, which is RDF in XML."""

import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape

_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
)
_BLOCK = (
    '<rdf:Description rdf:about="{}" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>'
    '<rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description></rdf:Description>'
)
_OPENED = re.compile(r"<dc:description\b")
_CLOSED = re.compile(r"</dc:description\s*>")
_ATTRIBUTE = re.compile(r"""\sdc:description\s*=\s*("[^"]*"|'[^']*')""")
_LARGEST = 1 << 20  # characters; cameras and programs write some thousands


def with_description(packet: bytes | None, text: str) -> bytes:
    """Return an XMP packet whose dc:description is `text`, and in which all else is as it was, letter by letter.

    Args:
        packet: as it stands in the photo; None makes a new one.
        text: the description, in no particular language.

    Raises:
        ValueError: the packet is damaged, or written in a way that this function does not know.
    """
    if packet is not None and len(packet) > _LARGEST:
        raise ValueError(f"what other programs keep there has more than {_LARGEST} bytes")
    xml = _EMPTY if packet is None else packet.decode("utf-8").rstrip("\0")
    about = re.search(r"""rdf:about\s*=\s*(?:"([^"]*)"|'([^']*)')""", xml)
    block = _BLOCK.format(about[1] or about[2] or "" if about else "", escape(text))
    changed, count = re.subn(r"</rdf:RDF\s*>", lambda end: block + end[0], _without_description(xml))
    if count != 1:
        raise ValueError("expected one rdf:RDF element")
    try:
        ElementTree.fromstring(changed)
    except ElementTree.ParseError as error:
        raise ValueError(f"not valid XML ({error})") from error
    return changed.encode()


def _without_description(xml: str) -> str:
    """Leave out the descriptions that are there: elements, and attributes. Goes through the text once.

    Raises:
        ValueError: an element has no end.
    """
    kept, at = [], 0
    while opened := _OPENED.search(xml, at):
        kept.append(xml[at : opened.start()])
        tag = xml.find(">", opened.end())
        if tag < 0:
            raise ValueError("a description has no end")
        at = tag + 1
        if xml[tag - 1] != "/":
            closed = _CLOSED.search(xml, at)
            if closed is None:
                raise ValueError("a description has no end")
            at = closed.end()
    return _ATTRIBUTE.sub("", "".join([*kept, xml[at:]]))
