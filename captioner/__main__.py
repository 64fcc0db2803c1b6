"""`python -m captioner` is the `captioner` command."""

import sys

from captioner.cli.main import main

sys.exit(main(program="python -m captioner"))
