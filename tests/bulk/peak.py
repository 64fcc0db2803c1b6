"""Lists and captions one input in this process: `python peak.py INPUT OUTPUT`; tells in JSON what came, and its memory.

`megabytes` is the most that this process has held, or one that it has started.
"""

import gc
import json
import resource
import runpy
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from captioner.bulk.inputs import Inputs, Shard
from captioner.bulk.output import Output
from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage
from captioner.bulk.worker import Worker


def main(place: str, folder: str) -> None:
    began, complaints = time.perf_counter(), []
    items = list(Inputs([place], Storage(), "", folder, complaints.append))
    captioner = runpy.run_path(str(ROOT / "tests" / "serve" / "tiny.py"))["tiny_captioner"]()
    output = Output(folder, Storage(), "json")
    worker, errors, photos = Worker(captioner, Storage(), output), Counter(), 0
    for number, shard in enumerate(item for item in items if isinstance(item, Shard)):
        tally = worker(Block(number, shard=shard))
        photos += tally.photos
        errors += tally.errors
    del worker
    gc.collect()  # which ends the process that reads tables
    status = Path("/proc/self/status").read_text()
    own = int(status.partition("VmHWM:")[2].split()[0])
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found = {
        "names": [item for item in items if isinstance(item, str)],
        "complaints": [line[:1000] for line in complaints],
        "photos": photos,
        "errors": errors,
        "megabytes": max(own, others) * 1024 / 1e6,
        "seconds": time.perf_counter() - began,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
