"""What the service keeps: the port, and SQLite behind it."""

from .port import (
    Client,
    InboxState,
    Message,
    NewKeySet,
    SessionOutcome,
    Store,
    Submission,
    TakenKeySet,
    TakenKeySets,
)
from .sql import StoreError, open_store

__all__ = [
    "Client",
    "InboxState",
    "Message",
    "NewKeySet",
    "SessionOutcome",
    "Store",
    "StoreError",
    "Submission",
    "TakenKeySet",
    "TakenKeySets",
    "open_store",
]
