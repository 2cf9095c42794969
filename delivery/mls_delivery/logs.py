"""The log: what the operator needs to know, and nothing of the people who use the service.

No line names an identity, an address or a token, or shows any octets of a message. So requests are logged without who
made them, and failures without the values that they happened with: an exception's message may quote those, and is left out
unless its kind is known never to.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import traceback
from datetime import UTC, datetime
from types import TracebackType

from .config import Log, LogFormat

logger = logging.getLogger("mls_delivery")

# Their messages are about code, not about what it works on. SQLite's name tables and columns, never values.
_ABOUT_CODE = (
    ArithmeticError,
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    RecursionError,
    sqlite3.Error,
)


def set_up_logging(log: Log) -> None:
    """Write the log of this process to its standard error output.

    Libraries are heard from `warning` on: what they say of connections and statements is about people.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if log.format is LogFormat.json else TextFormatter())
    # A line that cannot be formatted would be shown with all that it was to be made of.
    logging.raiseExceptions = False
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(log.level.value.upper())


def log_event(level: int, event: str, **members: object) -> None:
    """Log something that happened, with numbers and names that are of no person."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"members": members})


def log_failure(event: str, error: BaseException, **members: object) -> None:
    """Log an exception that should not have happened."""
    logger.error(event, exc_info=error, extra={"members": members})


def failure_text(error: BaseException) -> str:
    """An exception with its stack and its causes, and no value that it was raised with."""
    parts = []
    shown: BaseException | None = error
    while shown is not None:
        frames = "".join(_frames(shown.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{_name(shown)}")
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return "\n\nraised because of:\n\n".join(parts)


def _frames(trace: TracebackType | None) -> list[str]:
    return traceback.format_tb(trace)


def _name(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    message = _message(error)
    return f"{name}: {message}" if message else name


def _message(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or ""
    if isinstance(error, _ABOUT_CODE):
        return str(error)
    # PostgreSQL's are in the detail, which this is without (psycopg's `Error.diag`).
    return str(getattr(getattr(error, "diag", None), "message_primary", None) or "")


def _members(record: logging.LogRecord) -> dict[str, object]:
    members: dict[str, object] = getattr(record, "members", {})
    return members


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_members(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["failure"] = failure_text(record.exc_info[1])
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """For people: time, weight, event, and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(" ", timespec="milliseconds")
        members = "".join(f" {name}={value}" for name, value in _members(record).items())
        # Other services have a say in some events: one line each, whatever they say.
        event = "".join(
            sign if sign.isprintable() else repr(sign)[1:-1] for sign in record.getMessage().strip()
        )
        line = f"{time} {record.levelname} {record.name}: {event}{members}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + failure_text(record.exc_info[1])
        return line
