"""State that is kept as long as the process lives."""

from __future__ import annotations

from ..client import ClientState


class MemoryStorage:
    """`Storage` in memory.

    Attributes:
        state: what was saved last; None before that.
    """

    def __init__(self) -> None:
        self.state: ClientState | None = None

    async def save(self, state: ClientState) -> None:
        """Keep `state`."""
        self.state = state
