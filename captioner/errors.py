"""The errors that a user can fix: the command line shows their text alone."""


class CaptionerError(Exception):
    """Something the user named cannot be used, or nothing could be done (exit status 1).

    The message names the thing, what was expected, what came, and what to do.
    """

    exit_status = 1


class UsageError(CaptionerError):
    """The request contradicts itself or the run it continues (exit status 2)."""

    exit_status = 2


class PhotoError(CaptionerError):
    """A photo cannot be used; the message begins with its name and gives the reason."""


class TooManyPixelsError(PhotoError):
    """A photo has more pixels, or more bytes in them, than are let in."""
