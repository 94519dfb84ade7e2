"""What is written as the text of an array is what PostgreSQL reads."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from app.array_texts import array_text
from app.domain.leases import TaskStatus

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
TEXTS = [
    "",
    "plain",
    'a "quote"',
    "a \\ backslash",
    '\\"',
    "{a,b}",
    "NULL",
    "null",
    " space ",
    "two\nlines\t.",
    "é 漢 🙂",
    None,
]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", TEXTS),
        ("text", [TaskStatus.COMPLETED]),
        ("bigint", [0, -1, 2**62, None]),
        ("bigint", [7, 7, 7]),
        ("boolean", [True, False, None]),
        ("boolean", [True, True]),
        ("text", ['a "quote"', 'a "quote"']),
        ("text", [None, None]),
        ("timestamptz", [AT, AT]),
        ("timestamptz", [AT, None]),
        ("json", [{"text": 'a "quote" and a \\ backslash'}, None]),
        ("text", []),
    ],
)
def test_an_array(postgres_server: str, kind: str, values: list[Any]) -> None:
    written = ['{"text":"a \\"quote\\" and a \\\\ backslash"}', None] if kind == "json" else values
    with closing(psycopg2.connect(f"{postgres_server}/postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT ARRAY(SELECT unnest(CAST(%s AS {kind}[])))", (array_text(written),))
        (found,) = cursor.fetchone() or ()
    assert found == values
