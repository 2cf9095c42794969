"""Groups whose commits the service orders: where each stands, and the commits that led there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from .schema import metadata

# `registrar` is on whose account a group is kept. `moved_to` is the domain whose service orders now; `ended`, that
# no commit may follow: either way nothing is left to be ordered here.
groups = Table(
    "groups",
    metadata,
    Column("group_id", LargeBinary, primary_key=True),
    Column("registrar", LargeBinary, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("moved_to", Text),
    Column("ended", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("receipt", LargeBinary),
    Column("group_info", LargeBinary, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("groups_by_registrar", "registrar"),
)

# By the epoch that each begins. The small columns stand before the large ones, so that they are read without those.
commits = Table(
    "commits",
    metadata,
    Column("group_id", ForeignKey(groups.c.group_id), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("octets", Integer, nullable=False),
    Column("commit_hash", LargeBinary, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    Column("commit", LargeBinary, nullable=False),
    PrimaryKeyConstraint("group_id", "epoch"),
)


@dataclass(frozen=True)
class Head:
    """Where a group stands.

    Attributes:
        epoch: the present one.
        moved_to: the domain whose service orders now; None if this one does.
        ended: whether no commit may follow.
    """

    epoch: int
    moved_to: str | None
    ended: bool


@dataclass(frozen=True)
class Epoch:
    """A group in an epoch.

    Attributes:
        state: its public state, encoded.
        group_info: an MLSMessage.
        receipt: of the commit that began it, encoded; None if no service has ordered that.
    """

    epoch: int
    state: bytes
    group_info: bytes
    receipt: bytes | None


@dataclass(frozen=True)
class Ordered:
    """A commit, and what is said of it."""

    commit: bytes
    commit_hash: bytes
    receipt: bytes


@dataclass(frozen=True)
class Kept:
    """How many commits of a group are kept, for members that were away."""

    number: int
    octets: int
    seconds: int


def head(connection: Connection, group_id: bytes) -> Head | None:
    """Where a group stands; None if it is not known."""
    row = connection.execute(
        select(groups.c.epoch, groups.c.moved_to, groups.c.ended).where(groups.c.group_id == group_id)
    ).one_or_none()
    return None if row is None else Head(*row)


def load(connection: Connection, group_id: bytes) -> Epoch | None:
    """All that is kept of a group's present epoch."""
    row = connection.execute(
        select(groups.c.epoch, groups.c.state, groups.c.group_info, groups.c.receipt).where(
            groups.c.group_id == group_id
        )
    ).one_or_none()
    return None if row is None else Epoch(*row)


def register(
    connection: Connection,
    group_id: bytes,
    registrar: bytes,
    begins: Epoch,
    now: int,
    limit: int,
    seconds: int,
) -> bool | None:
    """Keep a group. One that was handed to another service may come back in a later epoch.

    Args:
        registrar: on whose account.
        limit: of groups on one account.
        seconds: for which a group is kept in which nothing is left to be ordered.

    Returns:
        Whether it is kept, now or since an earlier call that said the same; None if there is no room for it.
    """
    known = load(connection, group_id)
    if known is not None and (known.epoch, known.state) == (begins.epoch, begins.state):
        return True
    if known is not None:
        at = head(connection, group_id)
        if at is None or at.moved_to is None or begins.epoch <= known.epoch:
            return False
    _forget_closed(connection, registrar, now - seconds)
    present = connection.scalar(select(func.count()).where(groups.c.registrar == registrar))
    if present is not None and present >= limit:
        return None
    values = {
        "registrar": registrar,
        "epoch": begins.epoch,
        "moved_to": None,
        "ended": False,
        "changed_at": now,
        "receipt": begins.receipt,
        "group_info": begins.group_info,
        "state": begins.state,
    }
    if known is None:
        connection.execute(insert(groups).values(group_id=group_id, **values))
    else:
        connection.execute(update(groups).where(groups.c.group_id == group_id).values(**values))
    return True


def accept(
    connection: Connection,
    group_id: bytes,
    reached: Epoch,
    commit: Ordered,
    moved_to: str | None,
    ended: bool,
    now: int,
    keep: Kept,
) -> bool:
    """Let a commit begin the epoch that follows the present one; False if another one has, and nothing is changed.

    Args:
        reached: the epoch that the commit begins.
    """
    changed = connection.execute(
        update(groups)
        .where(
            groups.c.group_id == group_id,
            groups.c.epoch == reached.epoch - 1,
            groups.c.moved_to.is_(None),
            groups.c.ended.is_(False),
        )
        .values(
            epoch=reached.epoch,
            moved_to=moved_to,
            ended=ended,
            changed_at=now,
            receipt=commit.receipt,
            group_info=reached.group_info,
            state=reached.state,
        )
    )
    if changed.rowcount != 1:
        return False
    connection.execute(
        insert(commits).values(
            group_id=group_id,
            epoch=reached.epoch,
            accepted_at=now,
            octets=len(commit.commit),
            commit_hash=commit.commit_hash,
            receipt=commit.receipt,
            commit=commit.commit,
        )
    )
    _forget(connection, group_id, reached.epoch, now, keep)
    return True


def receipt_of(connection: Connection, group_id: bytes, epoch: int, commit_hash: bytes) -> bytes | None:
    """The receipt of a commit; None if it does not begin that epoch, or is not kept."""
    receipt: bytes | None = connection.scalar(
        select(commits.c.receipt).where(
            commits.c.group_id == group_id, commits.c.epoch == epoch, commits.c.commit_hash == commit_hash
        )
    )
    return receipt


def missed(
    connection: Connection, group_id: bytes, epoch: int, max_octets: int
) -> tuple[int, list[Ordered]] | None:
    """The present epoch, and the commits from that on which ends `epoch`; None if the group is not known.

    There is no gap between them: one if there is one, then up to `max_octets`.
    """
    at = head(connection, group_id)
    if at is None:
        return None
    query = (
        select(commits.c.epoch, commits.c.commit, commits.c.commit_hash, commits.c.receipt)
        .where(commits.c.group_id == group_id, commits.c.epoch > epoch)
        .order_by(commits.c.epoch)
    )
    found: list[Ordered] = []
    octets = 0
    with connection.execute(query) as rows:
        for row in rows:
            octets += len(row.commit) + len(row.receipt)
            if row.epoch != epoch + 1 + len(found) or (found and octets > max_octets):
                break
            found.append(Ordered(row.commit, row.commit_hash, row.receipt))
    return at.epoch, found


def _forget_closed(connection: Connection, registrar: bytes, before: int) -> None:
    """Forget the groups on an account in which nothing is left to be ordered, and has not been for long."""
    closed = select(groups.c.group_id).where(
        groups.c.registrar == registrar,
        groups.c.moved_to.is_not(None) | groups.c.ended,
        groups.c.changed_at < before,
    )
    connection.execute(delete(commits).where(commits.c.group_id.in_(closed)))
    connection.execute(delete(groups).where(groups.c.group_id.in_(closed)))


def _forget(connection: Connection, group_id: bytes, epoch: int, now: int, keep: Kept) -> None:
    """Forget commits that are too many, too large together, or too old; never the latest."""
    of_group = commits.c.group_id == group_id
    oldest = connection.execute(
        select(commits.c.epoch, commits.c.accepted_at, commits.c.octets)
        .where(of_group)
        .order_by(commits.c.epoch)
    ).all()
    octets = sum(row.octets for row in oldest)
    last_to_go = None
    for row in oldest[:-1]:
        if (
            row.epoch > epoch - keep.number
            and row.accepted_at >= now - keep.seconds
            and octets <= keep.octets
        ):
            break
        octets -= row.octets
        last_to_go = row.epoch
    if last_to_go is not None:
        connection.execute(delete(commits).where(of_group, commits.c.epoch <= last_to_go))
