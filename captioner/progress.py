"""Progress bars, which a command shows and the library does not."""

from typing import Any

_shown = False


def show_progress(shown: bool = True) -> None:
    """Show the bars of this process from now on, or hide them."""
    global _shown
    _shown = shown


def progress_bar(*items: Any, **options: Any) -> Any:
    """Return a `tqdm.tqdm` with these arguments, which stays silent until `show_progress` was called."""
    from tqdm import tqdm

    return tqdm(*items, disable=not _shown, **options)
