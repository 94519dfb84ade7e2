"""Prints the results and the audit trail of a batch."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.demo.client import Client

ROWS = 8  # of results that are printed


def print_results(client: Client, batch: dict[str, Any], console: Console) -> bool:
    """Print the first results and the number of all. Return whether every task has exactly one result."""
    lines = list(client.lines(f"/api/batches/{batch['id']}/results"))
    table = Table("document", "prompt", "answer", title=f"Results of batch {batch['id']}")
    for line in lines[:ROWS]:
        answer = (line["result"] or {}).get("text") or (line["error"] or {}).get("message") or ""
        table.add_row(*(Text(str(cell)) for cell in ((line["document"] or {}).get("name"), line["prompt"], answer)))
    console.print(table)
    more = len(lines) - ROWS
    tasks: int = batch["progress"]["analysis"]["total"]
    once = len(lines) == len({line["task_id"] for line in lines}) == tasks
    console.print(f"{f'... and {more} more: ' if more > 0 else ''}{len(lines)} results for {tasks} tasks.")
    return once


def print_audit_trail(client: Client, batch_id: int, console: Console) -> None:
    """Print every change of the batch, the oldest first."""
    table = Table("version", "trigger", "from", "to", "actor", "at", title="Audit trail")
    cursor = None
    while True:
        page = client.get(f"/api/batches/{batch_id}/audit", limit=200, **({"cursor": cursor} if cursor else {}))
        for row in page["audit"]:
            cells = (row["version"], row["trigger"], row["from_state"] or "", row["to_state"], row["actor"], row["at"])
            table.add_row(*(Text(str(cell)) for cell in cells))
        if not (cursor := page["next_cursor"]):
            break
    console.print(table)
