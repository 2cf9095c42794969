"""How much memory a group takes after joining it, in a process of its own: one JSON object in, one out.

With `traced`, what Python's allocator gave out is counted octet by octet, which is slow and adds to the process; without it,
what the process has of the machine's memory. So each is a run of its own.
"""

import gc
import json
import sys
import tracemalloc
from pathlib import Path

# Run as a script, only this file's folder is searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.speed.ours import NOW
from mls_federation.crypto import crypto
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.mls import (
    Welcome,
    create_group,
    decode_group,
    decode_key_package,
    decode_message,
    encode_group,
    join,
)

_STATM = Path("/proc/self/statm")
_PAGE = 4096


def resident() -> int:
    """Octets of this process in the machine's memory; 0 where that cannot be told."""
    return int(_STATM.read_text().split()[1]) * _PAGE if _STATM.exists() else 0


def main() -> None:
    """Join, and say what it took."""
    given = json.loads(sys.stdin.readline())
    provider = PycaProvider()
    suite = crypto(provider, 1)
    own = decode_key_package(bytes.fromhex(given["key_package"]))
    # Readers and writers of structs are made when they are first needed; they are no part of a group.
    decode_group(provider, encode_group(create_group(suite, b"another group", own)))
    if given["traced"]:
        tracemalloc.start()
    gc.collect()
    before, resident_before = tracemalloc.get_traced_memory()[0], resident()
    welcome = decode_message(bytes.fromhex(given.pop("welcome")))
    assert isinstance(welcome, Welcome)
    group = join(suite, welcome, own, now=NOW)
    del welcome
    gc.collect()
    print(
        json.dumps(
            {
                "traced": tracemalloc.get_traced_memory()[0] - before,
                "resident_growth": resident() - resident_before,
                "resident": resident(),
                "state": len(encode_group(group)),
            }
        )
    )


if __name__ == "__main__":
    main()
