"""Webhooks that get digests by apprise, and from when on each webhook gets its messages.

The release before does not know the format: create such a webhook when all servers run this one.
"""

import re
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.db import UtcTime
from app.models.batch import one_of

revision = "0018"
down_revision = "0017"

FORMATS, FORMATS_BEFORE = ("standard", "openai", "apprise"), ("standard", "openai")
FORMAT_CHECK, MINUTES_CHECK = "ck_webhooks_format", "ck_webhooks_digest_minutes"
TIMES = ("next_digest_at", "gets_since")  # the second: from when on `verify` expects a message for each change
MINUTES = "(format = 'apprise') = (digest_minutes IS NOT NULL)"


def upgrade() -> None:
    _allow(FORMATS_BEFORE, FORMATS)
    for name in TIMES:
        op.add_column("webhooks", sa.Column(name, UtcTime(), nullable=True))
    check = f"CONSTRAINT {MINUTES_CHECK} CHECK ({MINUTES})"
    op.execute(f"ALTER TABLE webhooks ADD COLUMN digest_minutes INTEGER {check}")


def downgrade() -> None:
    op.execute("DELETE FROM deliveries WHERE webhook_id IN (SELECT id FROM webhooks WHERE format = 'apprise')")
    op.execute("DELETE FROM webhooks WHERE format = 'apprise'")
    op.drop_column("webhooks", "digest_minutes")
    for name in TIMES:
        op.drop_column("webhooks", name)
    _allow(FORMATS, FORMATS_BEFORE)


def _allow(before: Sequence[str], formats: Sequence[str]) -> None:
    """Replace the check of the formats."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(FORMAT_CHECK), "webhooks", type_="check")
        op.create_check_constraint(op.f(FORMAT_CHECK), "webhooks", one_of("format", formats))
    else:
        _copy_tables(one_of("format", before), one_of("format", formats))


def _copy_tables(before: str, after: str) -> None:
    """SQLite changes a check only in a new table; and `deliveries` refers to it, so both are copied and exchanged."""
    sql = sa.text("SELECT sql FROM sqlite_master WHERE tbl_name IN ('webhooks', 'deliveries') AND sql IS NOT NULL")
    made: Sequence[str] = op.get_bind().execute(sql).scalars().all()
    for statement in made:
        if statement.startswith("CREATE TABLE"):
            renamed = re.sub(r'(CREATE TABLE|REFERENCES) "?(webhooks|deliveries)"?', r"\1 new_\2", statement)
            op.execute(renamed.replace(before, after))
    for table in ("webhooks", "deliveries"):
        op.execute(f"INSERT INTO new_{table} SELECT * FROM {table}")
    for table in ("deliveries", "webhooks"):
        op.execute(f"DROP TABLE {table}")
    for table in ("webhooks", "deliveries"):
        op.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for statement in made:
        if statement.startswith("CREATE INDEX"):
            op.execute(statement)
