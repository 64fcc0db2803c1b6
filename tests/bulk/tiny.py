"""`bulk` with a tiny captioner, as a process of its own: `python tiny.py SECONDS_A_PHOTO INPUT --output OUT ...`."""

import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from captioner.bulk import model
from captioner.cli.main import main
from captioner.runtime.captioner import Captioner

TINY = Path(__file__).parents[1] / "serve" / "tiny.py"
SHAPE = [4, 3]


@dataclass(frozen=True)
class TinyModel:
    """Travels to workers, which do not know this file, and is made there."""

    seconds: float
    path: str = str(TINY)

    def unpack(self) -> Captioner:
        return runpy.run_path(self.path)["tiny_captioner"](self.seconds)


if __name__ == "__main__":
    with (
        mock.patch.object(model, "find_encoder", return_value=(None, b"")),
        mock.patch.object(model, "pack", return_value=TinyModel(float(sys.argv[1]))),
        mock.patch.object(model, "describe", return_value={"model": "tiny", "encoder": {}, "shape": SHAPE}),
    ):
        sys.exit(main(["bulk", *sys.argv[2:]]))
