"""The limits of a server, and its answer beyond them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits on the memory and time that a client can use.

    Attributes:
        photo_bytes: the largest file.
        pixels: the largest photo; decoding takes up to about 15 bytes a pixel.
        held_bytes: all bodies together that are being read, or wait for their caption.
        waiting: requests that wait for their caption, or get it.
        silence: seconds without a byte after which an upload is given up, and without a request a connection.
        upload: seconds that an upload may take in all.
        download: seconds that a client may take to read an answer.
        stopping: seconds that requests get to end when the server stops.
    """

    photo_bytes: int = 20_000_000
    pixels: int = 50_000_000
    held_bytes: int = 400_000_000
    waiting: int = 64
    silence: float = 15
    upload: float = 120
    download: float = 60
    stopping: int = 5


REASONS = (
    "broken_form",
    "cross_site",
    "host",
    "internal_error",
    "memory_full",
    "method",
    "no_photo",
    "not_found",
    "out_of_memory",
    "queue_full",
    "stopping",
    "too_large",
    "too_many_connections",
    "too_many_pixels",
    "too_slow",
    "unreadable_photo",
    "wrong_option",
)
"""Why a request is refused, as `/metrics` counts it."""

STOPPING = "the server is stopping"


class ApiError(Exception):  # an answer, not a failure
    """An error that a request is answered with.

    Attributes:
        status: of HTTP.
        reason: one of `REASONS`.
        again: seconds after which it may do; none where it never will.
        headers: of the answer, besides those that all have.
    """

    def __init__(
        self, status: int, reason: str, message: str, again: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.again, self.headers = status, reason, again, headers or {}
