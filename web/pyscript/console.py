"""Runs the console's cells, in the worker's Python: top-level `await`, the last value, and tracebacks of the cells alone."""

import linecache
import traceback
from types import TracebackType
from typing import Any

from pyodide.code import eval_code_async

import __main__

# Whatever looks for the module of what a cell defines finds this one.
_namespace: dict[str, Any] = vars(__main__)


def provide(services: Any) -> None:
    """What cells find: the address of each domain's delivery service."""
    _namespace["services"] = services.to_py()


async def run_cell(source: str, number: int) -> tuple[bool, str]:
    """Whether a cell ran to its end; and the `repr` of its last expression, empty for None, or else the traceback."""
    name = f"<cell {number}>"
    # Tracebacks quote the lines of a cell from here.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        value = await eval_code_async(source, _namespace, filename=name)
    except SystemExit:
        return True, ""
    except BaseException as error:  # noqa: BLE001 - whatever a cell raises is what it shows
        return False, "".join(
            traceback.format_exception(error.with_traceback(_from(name, error.__traceback__)))
        )
    if value is None:
        return True, ""
    _namespace["_"] = value
    return True, repr(value)


def _from(name: str, trace: TracebackType | None) -> TracebackType | None:
    """A traceback without what runs the cells."""
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    return trace
