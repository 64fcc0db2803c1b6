"""The places in a JPEG that describe it: EXIF, XMP and IPTC data, each in segments before the picture."""

import struct

from captioner.photos.metadata import mpf
from captioner.photos.metadata.iptc import PHOTOSHOP

START = b"\xff\xd8"
"""How a JPEG begins."""

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_SOS, _EOI, _APP0, _APP1, _APP2, _APP13 = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xED
_LARGEST_SEGMENT = 0xFFFF - 2


class JpegNotes:
    """A JPEG taken apart; change what is in it, and put it together.

    Attributes:
        tiff: the EXIF data from their byte order mark on; None where there are none.
        packet: the XMP packet, or None.
        resources: Photoshop's resources, which have the IPTC data, or None.
        text: None, since a JPEG has no description of its own.

    Raises:
        ValueError: the file is damaged.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._first: list[bytes] = []  # segments, each from its marker on
        self._others: list[tuple[int, bytes]] = []  # with the place of each in the file
        self._photoshop: list[bytes] = []
        self.tiff: bytes | None = None
        self.packet: bytes | None = None
        self.text: str | None = None
        at = len(START)
        while True:
            if content[at] != 0xFF:
                raise ValueError("damaged: a segment is expected")
            while content[at + 1] == 0xFF:  # markers may be padded
                at += 1
            marker = content[at + 1]
            if marker in (_SOS, _EOI):
                break
            (size,) = struct.unpack_from(">H", content, at + 2)
            segment, body = content[at : at + 2 + size], content[at + 4 : at + 2 + size]
            if size < 2 or len(segment) != 2 + size:
                raise ValueError("damaged: a segment is cut")
            self._take(marker, at, segment, body)
            at += 2 + size
        self._picture = at
        self.resources = b"".join(self._photoshop) if self._photoshop else None

    def _take(self, marker: int, at: int, segment: bytes, body: bytes) -> None:
        if marker == _APP1 and body.startswith(_EXIF) and self.tiff is None:
            self.tiff = body.removeprefix(_EXIF)
        elif marker == _APP1 and body.startswith(_XMP) and self.packet is None:
            self.packet = body.removeprefix(_XMP)
        elif marker == _APP13 and body.startswith(PHOTOSHOP):
            self._photoshop.append(body.removeprefix(PHOTOSHOP))
        elif marker == _APP0 and not self._others:
            self._first.append(segment)
        else:
            self._others.append((at, segment))

    def together(self) -> bytes:
        """Return the file: its notes behind the JFIF header, then all else in its order.

        Raises:
            ValueError: there is no room for something.
        """
        new = list(self._first)
        if self.tiff is not None:
            new.append(_segment(_APP1, _EXIF + self.tiff))
        if self.packet is not None:
            new.append(_segment(_APP1, _XMP + self.packet))
        if self.resources is not None:
            room = _LARGEST_SEGMENT - len(PHOTOSHOP)
            parts = [self.resources[at : at + room] for at in range(0, len(self.resources), room)]
            unchanged = b"".join(self._photoshop) == self.resources
            new += [_segment(_APP13, PHOTOSHOP + part) for part in (self._photoshop if unchanged else parts)]
        head = START + b"".join(new)
        end = len(head) + sum(len(segment) for _, segment in self._others)
        grown = end - self._picture
        for place, segment in self._others:
            moved = len(head) - place
            head += mpf.moved(segment, grown, grown - moved) if segment[1] == _APP2 else segment
        return head + self._content[self._picture :]


def _segment(marker: int, body: bytes) -> bytes:
    if len(body) > _LARGEST_SEGMENT:
        raise ValueError("what other programs keep there leaves no room")
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
