"""The peak memory of this process, and its limit."""

import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def peak_memory() -> int:
    """Return the peak memory of this process in bytes; 0 if it is unknown."""
    if resource is None:
        return 0
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024  # macOS has bytes, others kilobytes


def limit_memory(most: int) -> bool:
    """Limit the memory of this process to so many bytes of data; larger allocations fail.

    Returns whether the system does so.

    Only Linux has a limit for data. A limit for addresses, which others have too, would count what libraries reserve
    and never use.
    """
    if resource is None or sys.platform != "linux":
        return False
    resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    return True
