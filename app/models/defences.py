"""How the database defends itself: triggers, made from the transition table, for both dialects.

They refuse, from any client: a change of state that is not in the table, an UPDATE of a batch that does not raise its
version by exactly 1, a new batch in any state but the first, and any change of an audit row.

A ready-made task without a batch is refused, too: on SQLite by a foreign key. PostgreSQL checks that row by row, which
took half the time of copying lines in; the trigger looks once for all rows of a statement. No batch is ever deleted:
its audit rows refer to it, and they stay.
"""

from app.domain.transitions import INITIAL, LEGAL_PAIRS

_PAIRS = ", ".join(f"('{source}', '{target}')" for source, target in LEGAL_PAIRS)
_LEGAL = f"(OLD.state = NEW.state OR (OLD.state, NEW.state) IN (VALUES {_PAIRS}))"

POSTGRESQL = (
    f"""
    CREATE FUNCTION defend_batches() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.state <> '{INITIAL}' OR NEW.version <> 1 THEN
                RAISE EXCEPTION 'a batch begins {INITIAL}, at version 1' USING ERRCODE = 'check_violation';
            END IF;
        ELSIF NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id THEN
            RAISE EXCEPTION 'batch %: a change raises the version by exactly 1', OLD.id
                USING ERRCODE = 'check_violation';
        ELSIF NOT {_LEGAL} THEN
            RAISE EXCEPTION 'batch %: no transition leads from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION defend_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is append-only: % refused', TG_OP USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE FUNCTION defend_ready_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            RAISE EXCEPTION 'a ready-made task stays in its batch' USING ERRCODE = 'foreign_key_violation';
        ELSIF EXISTS (
            SELECT FROM (SELECT DISTINCT batch_id FROM added) AS a
            WHERE NOT EXISTS (SELECT FROM batches WHERE batches.id = a.batch_id)
        ) THEN
            RAISE EXCEPTION 'a ready-made task needs its batch' USING ERRCODE = 'foreign_key_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """CREATE TRIGGER defend_batches BEFORE INSERT OR UPDATE ON batches
       FOR EACH ROW EXECUTE FUNCTION defend_batches()""",
    """CREATE TRIGGER defend_audit_log BEFORE UPDATE OR DELETE ON audit_log
       FOR EACH ROW EXECUTE FUNCTION defend_audit_log()""",
    # A row trigger does not see TRUNCATE.
    """CREATE TRIGGER defend_audit_log_truncate BEFORE TRUNCATE ON audit_log
       FOR EACH STATEMENT EXECUTE FUNCTION defend_audit_log()""",
    """CREATE TRIGGER defend_ready_tasks AFTER INSERT ON ready_tasks
       REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION defend_ready_tasks()""",
    """CREATE TRIGGER defend_ready_tasks_update BEFORE UPDATE OF batch_id ON ready_tasks
       FOR EACH ROW EXECUTE FUNCTION defend_ready_tasks()""",
    # Not even session_replication_role = replica turns them off.
    "ALTER TABLE batches ENABLE ALWAYS TRIGGER defend_batches",
    "ALTER TABLE audit_log ENABLE ALWAYS TRIGGER defend_audit_log",
    "ALTER TABLE audit_log ENABLE ALWAYS TRIGGER defend_audit_log_truncate",
    "ALTER TABLE ready_tasks ENABLE ALWAYS TRIGGER defend_ready_tasks",
    "ALTER TABLE ready_tasks ENABLE ALWAYS TRIGGER defend_ready_tasks_update",
)

# An old database gets them by a later migration than the first.
OF_READY_TASKS_DROP = (
    "DROP TRIGGER IF EXISTS defend_ready_tasks_update ON ready_tasks",
    "DROP TRIGGER IF EXISTS defend_ready_tasks ON ready_tasks",
    "DROP FUNCTION IF EXISTS defend_ready_tasks()",
)
POSTGRESQL_DROP = (
    *OF_READY_TASKS_DROP,
    "DROP TRIGGER defend_audit_log_truncate ON audit_log",
    "DROP TRIGGER defend_audit_log ON audit_log",
    "DROP TRIGGER defend_batches ON batches",
    "DROP FUNCTION defend_audit_log()",
    "DROP FUNCTION defend_batches()",
)


def _sqlite(name: str, moment: str, when: str, message: str) -> str:
    condition = f"WHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} BEFORE {moment} FOR EACH ROW {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"


SQLITE = (
    _sqlite(
        "defend_batches_insert",
        "INSERT ON batches",
        # The EXISTS stops INSERT OR REPLACE, which deletes without firing a DELETE trigger.
        f"NEW.state <> '{INITIAL}' OR NEW.version <> 1 OR EXISTS (SELECT 1 FROM batches WHERE id = NEW.id)",
        f"a batch begins {INITIAL}, at version 1",
    ),
    _sqlite(
        "defend_batches_version",
        "UPDATE ON batches",
        "NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id",
        "a change raises the version by exactly 1",
    ),
    _sqlite(
        "defend_batches_state",
        "UPDATE ON batches",
        f"NOT {_LEGAL}",
        "no transition leads from this state to that",
    ),
    _sqlite(
        "defend_audit_log_insert",
        "INSERT ON audit_log",
        "EXISTS (SELECT 1 FROM audit_log WHERE batch_id = NEW.batch_id AND version = NEW.version)",
        "UNIQUE constraint failed: the audit log has this version",
    ),
    _sqlite("defend_audit_log_update", "UPDATE ON audit_log", "", "the audit log is append-only"),
    _sqlite("defend_audit_log_delete", "DELETE ON audit_log", "", "the audit log is append-only"),
)


def create(dialect: str) -> tuple[str, ...]:
    """The statements that create the triggers."""
    return POSTGRESQL if dialect == "postgresql" else SQLITE


def drop(dialect: str) -> tuple[str, ...]:
    """The statements that drop the triggers. SQLite drops those of a table with the table."""
    return POSTGRESQL_DROP if dialect == "postgresql" else ()
