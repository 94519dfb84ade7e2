"""Documents that are split into parts: the part that a task is about, and how long the parts of a batch are.

What was stored before is of whole documents. The release before does not use these columns. On SQLite a CHECK is
renewed with its column, for which the triggers that defend the batches are taken away and made again.
"""

import sqlalchemy as sa
from alembic import op

from app.domain.documents import OnTooLong
from app.models import defences
from app.models.batch import one_of

revision = "0019"
down_revision = "0018"

_CHECK = "ck_batches_on_too_long"
_BEFORE = "on_too_long IN ('fail', 'truncate')"
_TRIGGERS = (
    "defend_batches_insert", "defend_batches_version", "defend_batches_state", "defend_audit_log_insert",
    "defend_audit_log_update", "defend_audit_log_delete",
)  # fmt: skip


def upgrade() -> None:
    for name in ("part", "parts"):
        op.add_column("tasks", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    for name, default in (("part_characters", "40000"), ("overlap_characters", "400")):
        op.add_column("batches", sa.Column(name, sa.Integer(), nullable=False, server_default=default))
    _renew(one_of("on_too_long", OnTooLong), "on_too_long_before")


def downgrade() -> None:
    split = "CASE on_too_long_before WHEN 'split' THEN 'fail' ELSE on_too_long_before END"
    _renew(_BEFORE, split)
    for table, name in (("batches", "overlap_characters"), ("batches", "part_characters"), ("tasks", "parts"),
                        ("tasks", "part")):  # fmt: skip
        op.drop_column(table, name)


def _renew(condition: str, value: str) -> None:
    """Give the column `on_too_long` another CHECK, and a `value` from what it had, `on_too_long_before`."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE batches DROP CONSTRAINT {_CHECK}")
        if value != "on_too_long_before":
            op.execute("ALTER TABLE batches DISABLE TRIGGER defend_batches")
            op.execute("UPDATE batches SET on_too_long = 'fail' WHERE on_too_long = 'split'")
            op.execute("ALTER TABLE batches ENABLE ALWAYS TRIGGER defend_batches")
        op.execute(f"ALTER TABLE batches ADD CONSTRAINT {_CHECK} CHECK ({condition})")
        return
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name}")
    op.execute("ALTER TABLE batches RENAME COLUMN on_too_long TO on_too_long_before")
    op.execute(
        f"ALTER TABLE batches ADD COLUMN on_too_long VARCHAR(8) DEFAULT '{OnTooLong.FAIL}' NOT NULL"
        f" CONSTRAINT {_CHECK} CHECK ({condition})"
    )
    op.execute(f"UPDATE batches SET on_too_long = {value}")
    op.execute("ALTER TABLE batches DROP COLUMN on_too_long_before")
    for statement in defences.create("sqlite"):
        op.execute(statement)
