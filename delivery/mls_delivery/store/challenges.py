"""Challenges for sessions: the key of their MACs, and those that were used."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table, delete, insert, select

from ..refusals import Refused
from .schema import metadata

# One row. The key is here, so that a challenge of one process can be answered at another that shares the store.
challenge_key = Table(
    "challenge_key",
    metadata,
    Column("key", LargeBinary, primary_key=True),
)

redeemed_challenges = Table(
    "redeemed_challenges",
    metadata,
    Column("challenge", LargeBinary, primary_key=True),
    Column("ends", BigInteger, nullable=False, index=True),
)


def key(connection: Connection, fresh: bytes) -> bytes:
    """The key of the MACs (secret): the one kept, else `fresh`, which is kept from now on."""
    kept: bytes | None = connection.scalar(select(challenge_key.c.key))
    if kept is None:
        connection.execute(insert(challenge_key).values(key=fresh))
    return kept or fresh


def redeem(connection: Connection, challenge: bytes, ends: int, now: int) -> None:
    """Use up a challenge that is good until `ends`.

    Raises:
        Refused: code `bad-challenge`: it was used before.
    """
    redeemed = redeemed_challenges.c
    connection.execute(delete(redeemed_challenges).where(redeemed.ends <= now))
    if connection.scalar(select(redeemed.ends).where(redeemed.challenge == challenge)) is not None:
        raise Refused("bad-challenge", "The challenge was already used. Ask for a new one.")
    connection.execute(insert(redeemed_challenges).values(challenge=challenge, ends=ends))
