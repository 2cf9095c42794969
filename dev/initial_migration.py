"""`python -m dev.initial_migration`: write the first migration of the delivery service's database anew, from its tables.

Only while nothing is released: afterwards, what is in somebody's database is changed by a migration of its own.
"""

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

import mls_delivery.store  # noqa: F401 - it knows all topics, and so all tables
from mls_delivery.store import migrations
from mls_delivery.store.schema import metadata

FILE = Path(migrations.__file__).parent / "versions" / "initial.py"

_HEAD = '''\
"""All tables of the first release. Made by `python -m dev.initial_migration`."""

import sqlalchemy as sa
from alembic import op

revision = "initial"
down_revision = None


def upgrade() -> None:
    """Make them."""
    '''


def rendered() -> str:
    """The migration's source."""
    with create_engine("sqlite://").connect() as connection:
        context = MigrationContext.configure(connection)
        operations = produce_migrations(context, metadata).upgrade_ops
    assert operations is not None
    lines = render_python_code(operations).splitlines(keepends=True)
    return _HEAD + "".join(line for line in lines if not line.lstrip().startswith("#")).lstrip()


def main() -> int:
    """Write it, in our own format."""
    FILE.write_text(rendered())
    return subprocess.run([sys.executable, "-m", "ruff", "format", str(FILE)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
