"""What alembic runs to migrate. The connection is in a transaction already, which is to be the migration's."""

from alembic import context

from mls_delivery.store.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=True
)
context.run_migrations()
