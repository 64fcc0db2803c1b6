"""Run a command on a Ray cluster of two nodes on this machine, a core each, and kill one of them half-way.

    python benchmarks/two_nodes.py OUT PARTS COMMAND ...

kills the second node once OUT holds PARTS parts, and says how many there were; the exit status is the command's, or 3
where it ended before that.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

NODE = {"num_cpus": 1, "object_store_memory": 200_000_000, "node_ip_address": "127.0.0.1"}


def main() -> int:
    """Start the nodes and the command, kill a node, and wait."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")  # loopback only
    output, parts, command = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    second = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    try:
        process = subprocess.Popen(command, env={**os.environ, "RAY_ADDRESS": cluster.address})
        while (done := len(list(output.glob("part-*")))) < parts and process.poll() is None:
            time.sleep(0.1)
        if process.poll() is not None:
            return process.returncode or 3
        cluster.remove_node(second, allow_graceful=False)
        print(f"a node was killed when {done} parts were there", file=sys.stderr)
        return process.wait()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
