"""What an address asks of the matrix: which documents and columns, what answers are held against, how many lines."""

from typing import Any, NamedTuple

from app.domain.ids import plain_number
from app.errors import Invalid
from app.services.run_report.cells import Column
from app.services.run_report.found_documents import Show, Sort, Wanted
from app.ui.results.cells import LINES

LONGEST_NAME = 200
_MODEL, _RUN = "m", "r"


class MatrixQuery(NamedTuple):
    """The filter, the columns and the looks of a matrix."""

    show: Show
    name: str
    columns: tuple[Column, ...]
    held: str  # m2: the answers of model 2; r1: those of run 1; empty: the first model's
    lines: str
    sort: Sort
    sorted_column: Column | None

    @classmethod
    def of(cls, values: Any) -> "MatrixQuery":
        """Read an address; unknown words are ignored. Raises Invalid for a column or number that is none."""
        show, lines, order, by = (values.get(name, "") for name in ("show", "lines", "sort", "by"))
        return cls(
            Show(show) if show in set(Show) else Show.ALL,
            values.get("find", "").strip()[:LONGEST_NAME],
            tuple(_column(each) for each in values.getlist("column")),
            held if _number_of(held := values.get("held", "")) is not None else "",
            lines if lines in LINES else "4",
            Sort(order) if order in set(Sort) and by else Sort.NUMBER,
            _column(by) if by else None,
        )

    @property
    def wanted(self) -> Wanted:
        """What the service is asked for."""
        held = _number_of(self.held)
        of_run = self.held.startswith(_RUN)
        model, run = (None, held) if of_run else (held or 1, None)
        return Wanted(self.show, self.name, self.columns, model, run, self.sort, self.sorted_column)

    def next_sort(self, column: Column) -> dict[str, Any]:
        """Give the query for a click on the head of a column: slowest first, dearest first, the documents' order."""
        orders = list(Sort)
        present = self.sort if column == self.sorted_column else Sort.NUMBER
        order = orders[(orders.index(present) + 1) % len(orders)]
        return {"sort": None, "by": None} if order is Sort.NUMBER else {"sort": str(order), "by": _key(column)}

    def address_query(self, **changes: Any) -> dict[str, Any]:
        """Give the query of an address for the same matrix, with `changes`."""
        kept = {
            "show": str(self.show) if self.show is not Show.ALL else None,
            "find": self.name or None,
            "column": [_key(each) for each in self.columns] or None,
            "held": self.held or None,
            "lines": self.lines if self.lines != "4" else None,
            "sort": str(self.sort) if self.sorted_column else None,
            "by": _key(self.sorted_column) if self.sorted_column else None,
            **changes,
        }
        return {name: value for name, value in kept.items() if value}


def _number_of(held: str) -> int | None:
    return plain_number(held[1:], 8) if held[:1] in (_MODEL, _RUN) else None


def _key(column: Column) -> str:
    return "{}.{}".format(*column)


def _column(key: str) -> Column:
    prompt, _, model = key.partition(".")
    numbers = plain_number(prompt, 8), plain_number(model, 8)
    if numbers[0] is None or numbers[1] is None:
        raise Invalid("A column is the numbers of a prompt and a model.", errors={"column": ["is unknown"]})
    return numbers[0], numbers[1]
