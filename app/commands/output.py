"""What a command prints: data on stdout, as a table, as JSON, as JSON lines or as names; all else on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from app.commands.columns import Column, columns_of

FORMS = ("table", "json", "jsonl", "name")
WIDEST_CELL = 200


class Output:
    """Prints rows and objects in one form. Without one it is a table on a terminal, and JSON lines in a pipe."""

    def __init__(self, form: str | None) -> None:
        if form is not None and form not in FORMS:
            raise click.UsageError(f"There is no output {form!r}; the outputs are: {', '.join(FORMS)}.")
        self.form = form or ("table" if sys.stdout.isatty() else "jsonl")
        self._notes = Console(stderr=True, highlight=False)

    @property
    def shows_progress(self) -> bool:
        """Whether somebody sees stderr now."""
        return self._notes.is_terminal

    @property
    def notes(self) -> Console:
        """The console on stderr."""
        return self._notes

    def note(self, text: str) -> None:
        """Write a sentence to stderr."""
        click.echo(text, err=True)

    def rows(self, noun: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Print a list, row by row as they come."""
        columns = columns_of(noun)
        if self.form == "table":
            self._table(columns, rows)
        elif self.form == "json":
            self._array(rows)
        else:
            for row in rows:
                click.echo(printable(row[columns[0].field]) if self.form == "name" else as_json(row))

    def one(self, noun: str, row: Mapping[str, Any]) -> None:
        """Print one object."""
        if self.form == "name":
            click.echo(printable(row[columns_of(noun)[0].field]))
        elif self.form == "json":
            click.echo(json.dumps(row, indent=2, ensure_ascii=False))
        elif self.form == "jsonl":
            click.echo(as_json(row))
        else:
            table = Table(show_header=False, box=None)
            for name, value in row.items():
                table.add_row(name, shown(value))
            _stdout().print(table, markup=False)

    def _table(self, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> None:
        table = Table(*(column.title for column in columns), box=None, header_style="bold")
        for row in rows:
            table.add_row(*(shown(column.value(row))[:WIDEST_CELL] for column in columns))
        _stdout().print(table, markup=False)

    def _array(self, rows: Iterable[Mapping[str, Any]]) -> None:
        click.echo("[", nl=False)
        for number, row in enumerate(rows):
            click.echo((",\n " if number else "") + as_json(row), nl=False)
        click.echo("]")


def as_json(row: Any) -> str:
    """Write a row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False)


def shown(value: Any) -> str:
    """Write a value for a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, str):
        return printable(value)
    return printable(str(value) if isinstance(value, int | float) and not isinstance(value, bool) else as_json(value))


def printable(value: Any) -> str:
    """Write a text without what would control a terminal: an answer of a model is anybody's text."""
    return "".join(each if each.isprintable() else " " for each in str(value))


def _stdout() -> Console:
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 160)
