"""Runs the demo from its start to its exit code."""

import stamina
from rich.console import Console
from rich.text import Text

from app.demo.batch import complete, find_or_create
from app.demo.client import Client, DemoFailed
from app.demo.printing import print_audit_trail, print_results


def run_demo(url: str, token: str, console: Console) -> int:
    """Complete a batch and print its results. Return 0, or print what went wrong and return 1."""
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        with Client(url, token) as client:
            batch = complete(client, find_or_create(client, console), console)
            every_task_once = print_results(client, batch, console)
            print_audit_trail(client, batch["id"], console)
            return 0 if every_task_once else 1
    except DemoFailed as failure:
        console.print(Text(str(failure), style="bold red"))
    except KeyboardInterrupt:
        console.print("Stopped. The batch continues by itself where it can; start the demo again to continue it.")
    return 1
