"""Our side on CPython, in a process of its own: one JSON object a line in, one out."""

import sys
import time
from pathlib import Path

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.speed.ours import OurSide
from mls_federation.crypto.pyca import PycaProvider

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    """Answer until the input ends."""
    side = OurSide(PycaProvider(), CLOCKS[sys.argv[1]])
    for line in sys.stdin:
        print(side.call(line), flush=True)


if __name__ == "__main__":
    main()
