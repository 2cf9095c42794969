"""Where a client's state is kept."""

from .memory import MemoryStorage

__all__ = ["MemoryStorage"]
