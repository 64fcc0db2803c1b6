"""Execute the notebook from its first cell to its last, and keep what it shows in its file.

Run `python notebooks/execute.py`, or `make notebook`.
"""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("captioning_with_attention.ipynb")


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run all cells in place, in the notebook's folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an exception.
    """
    NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    ).execute()
    # Versions of the machine's Python say nothing about the lesson, and would change the file each time.
    notebook.metadata["language_info"] = {"name": "python"}


if __name__ == "__main__":
    lesson = nbformat.read(NOTEBOOK, as_version=4)
    execute(lesson)
    nbformat.write(lesson, NOTEBOOK)
