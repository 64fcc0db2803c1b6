"""The peak memory of this process, and its limit."""

import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def peak_memory() -> int:
    """Return the most bytes that this process has held; 0 where the system does not tell."""
    if resource is None:
        return 0
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024  # macOS has bytes, others kilobytes


def limit_memory(most: int) -> bool:
    """Let this process hold so many bytes of data: whoever asks for more gets an error.

    Returns whether the system does so.

    Only Linux has a limit for data. A limit for addresses, which others have too, would count what libraries reserve
    and never use.
    """
    if resource is None or sys.platform != "linux":
        return False
    resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    return True
