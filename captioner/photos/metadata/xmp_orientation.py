"""The orientation in a photo's XMP packet, which is RDF in XML. Found without reading the XML, as Pillow does."""

LONGEST = 1 << 20
"""Bytes that are searched; cameras and programs write some thousands."""

_TAG = b"tiff:Orientation"


def orientation(packet: bytes) -> int:
    """Return the orientation in a packet, 1 to 8, as an attribute or an element; 0 if there is none."""
    place = packet.find(_TAG, 0, LONGEST) + len(_TAG)
    if place < len(_TAG):
        return 0
    digit = packet[place : place + 20].lstrip(b" \t\r\n=\"'>")[:1]
    return int(digit) if digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8") else 0
