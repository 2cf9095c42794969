"""Works at the same time, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def gather(*works: Coroutine[Any, Any, None]) -> None:
    """The port `gather`: return when all works have ended; the first that raises ends the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
