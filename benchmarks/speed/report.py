"""The tables, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .operations import OPERATIONS, TARGET_SIZES, Operation
from .results import OURS, Results

_KINDS = {
    "sign": "sign",
    "verify": "verify",
    "verify_batched": "verify, many at once",
    "encapsulate": "encapsulate, many at once",
    "dh": "Diffie-Hellman",
    "dh_public_key": "public key of a private one",
    "mac": "HMAC",
    "hash": "SHA-256",
    "aead_seal": "AEAD seal",
    "aead_open": "AEAD open",
}


@dataclass(frozen=True)
class Other:
    """Another implementation's column.

    Attributes:
        side: its name in the results.
        title: of the column.
        results: where it was measured.
        to_beat: whether we promise to be faster in every row.
    """

    side: str
    title: str
    results: Results
    to_beat: bool = False


def times_table(where: str, results: Results, sizes: Sequence[int], others: Sequence[Other]) -> str:
    """Each operation at each size: ours, the floor, what was promised, and the others."""
    head = ["", "N", "ours, ms", "floor, ms", "times floor", "to reach", ""]
    head += [other.title for other in others]
    lines = [_row(head), _row(["---"] + ["--:"] * 4 + ["---", "---"] + ["--:"] * len(others))]
    for operation in OPERATIONS:
        for size in sizes:
            ours = results.seconds(OURS, size, operation.key)
            if ours is None:
                continue
            lines.append(_row(_cells(where, operation, size, ours, results, others)))
    return "\n".join(lines)


def _cells(
    where: str, operation: Operation, size: int, ours: float, results: Results, others: Sequence[Other]
) -> list[str]:
    floor, ratio = results.floor(size, operation.key) or (None, None)
    target = operation.targets.get(where) if size in TARGET_SIZES else None
    met = None if target is None or ratio is None else ratio <= target
    asked = [] if target is None else [f"≤ {target:.1f}"]
    cells = []
    for other in others:
        theirs = other.results.seconds(other.side, size, operation.key)
        cells.append("" if theirs is None else milliseconds(theirs))
        if other.to_beat and theirs is not None:
            asked.append(f"below {other.side}")
            met = (met is not False) and ours < theirs
    verdict = "" if met is None else "met" if met else "**missed**"
    return [
        operation.title,
        str(size),
        milliseconds(ours),
        "" if floor is None else milliseconds(floor),
        "" if ratio is None else f"{ratio:.2f}",
        ", ".join(asked),
        verdict,
        *cells,
    ]


def missed(where: str, results: Results, sizes: Sequence[int]) -> dict[Operation, int]:
    """The operations that take too many times their floor, and the largest size at which they do."""
    found = {}
    for operation in OPERATIONS:
        for size in sizes:
            _, ratio = results.floor(size, operation.key) or (None, 0.0)
            if where in operation.targets and size in TARGET_SIZES and ratio > operation.targets[where]:
                found[operation] = size
    return found


def profile_table(where: str, operation: Operation, size: int, rows: Sequence[tuple[str, int, float]]) -> str:
    """Where an operation's time goes. A profiled function is slower than it is, the more so the shorter it is."""
    lines = [
        _row([f"{where}, N = {size}, {operation.title}: function", "calls", "own time, ms"]),
        _row(["---", "--:", "--:"]),
    ]
    lines += [_row([f"`{name}`", str(calls), f"{own:.3f}"]) for name, calls, own in rows]
    return "\n".join(lines)


def counts_table(results: Results, sizes: Sequence[int]) -> str:
    """What the floor counts: calls of each kind, and the octets hashed, signed or encrypted."""
    kinds = list(_KINDS)
    lines = [_row(["", "N", *_KINDS.values(), "octets in all"])]
    lines.append(_row(["---"] + ["--:"] * (len(kinds) + 2)))
    for operation in OPERATIONS:
        for size in sizes:
            work = results.work(size).get(operation.key)
            if work is not None:
                counts = [str(work.calls[kind] or "") for kind in kinds]
                octets = str(sum(work.octets.values()))
                lines.append(_row([operation.title, str(size), *counts, octets]))
    return "\n".join(lines)


def prices_line(results: Results) -> str:
    """The primitives' prices in one sentence."""
    parts = [f"{title} {results.prices[kind] * 1e6:.2f} µs" for kind, title in _KINDS.items()]
    return f"One call, over 256 octets where it takes any: {'; '.join(parts)}."


def milliseconds(seconds: float) -> str:
    """With three digits that count."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def growth_table(where: str, results: Results) -> str:
    """How costs grow with the group."""
    rows = []
    few, many = (results.seconds(OURS, size, "process_full") for size in (100, 1000))
    if few and many:
        # 7 and 10 levels above the leaves.
        rows.append(("process a commit, 1000 to 100", many / few, 10 / 7, "as the tree's depth"))
    few, many = (results.seconds(OURS, size, "join") for size in (100, 1000))
    if few and many:
        rows.append(("join, for each member, 1000 to 100", many / 1000 / (few / 100), 1.3, ""))
    few, many = (results.seconds(OURS, size, "encrypt") for size in (2, 1000))
    if few and many:
        rows.append(("encrypt, 1000 to 2", many / few, 1.2, "equal, but for noise"))
    lines = [_row([f"growth, {where}", "times", "to reach", ""]), _row(["---", "--:", "---", "---"])]
    for title, ratio, limit, why in rows:
        asked = f"≤ {limit:.2f}" + (f" ({why})" if why else "")
        lines.append(_row([title, f"{ratio:.2f}", asked, "met" if ratio <= limit else "**missed**"]))
    return "\n".join(lines) if rows else ""


def memory_table(size: int, traced: dict[str, int], resident: dict[str, int], full_state: int) -> str:
    """Memory of one group after joining it, and its encoded state."""
    mega, kilo = 1e6, 1e3
    rows = [
        ("objects of the group (tracemalloc), MB", traced["traced"] / mega, 25.0),
        ("growth of the process by joining, MB", resident["resident_growth"] / mega, 25.0),
        ("the whole process, interpreter and all, MB", resident["resident"] / mega, None),
        ("state for each member, after joining, kB", resident["state"] / size / kilo, 4.0),
        ("state for each member, all have committed, kB", full_state / size / kilo, 4.0),
    ]
    lines = [_row([f"a group of {size}, CPython", "", "to reach", ""]), _row(["---", "--:", "---", "---"])]
    for title, value, limit in rows:
        asked = "" if limit is None else f"< {limit:.0f}"
        met = "" if limit is None else "met" if value < limit else "**missed**"
        lines.append(_row([title, f"{value:.2f}", asked, met]))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
