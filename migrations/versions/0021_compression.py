"""Large values are compressed with LZ4, where PostgreSQL has it: writing a staged text takes a third of the time.

Staged texts, answers and the bodies of lines are compressed at each write. What was stored before stays as it is, and
is read as before. The release before neither knows nor minds the method.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

_LARGE = {
    "documents": ("text", "content"),
    "file_chunks": ("data",),
    "late_results": ("result",),
    "ready_tasks": ("body",),
    "tasks": ("result",),
}
_HAS_LZ4 = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql" and bind.exec_driver_sql(_HAS_LZ4).scalar():
        _set_compression("lz4")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _set_compression("default")


def _set_compression(method: str) -> None:
    for table, columns in _LARGE.items():
        changes = ", ".join(f"ALTER COLUMN {column} SET COMPRESSION {method}" for column in columns)
        op.execute(f"ALTER TABLE {table} {changes}")
