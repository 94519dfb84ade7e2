"""Writes `interlock/_sync` from `interlock/_async`: `python interlock/generate.py`, in a checkout with ruff.

Both clients are one text, so that they cannot differ. A test compares them.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
HEAD = "# Written by `python interlock/generate.py` from interlock/_async: change it there.\n"
REPLACED = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait asyncio\.sleep\b", "time.sleep"),
    (r"\bawait ", ""),
    (r"^import asyncio\n", ""),
    (r"\bhttpx\.AsyncClient\b", "httpx.Client"),
    (r"\bAsync(Client|Transport|Results|Webhooks|Iterator)\b", r"\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b__a(enter|exit|iter)__\b", r"__\1__"),
    (r"\ba(close|read)\(", r"\1("),
    (r"\baiter_(bytes)\b", r"iter_\1"),
    (r"\b_async\b", "_sync"),
)
INIT = '"""The client on threads, written from `interlock/_async`: `python interlock/generate.py`."""\n'


def texts() -> Iterator[tuple[Path, str]]:
    """Yield each file of `interlock/_sync` and the text that it has to have."""
    for source in sorted((FOLDER / "_async").glob("*.py")):
        text = source.read_text()
        for pattern, replacement in REPLACED:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        path = FOLDER / "_sync" / source.name
        yield path, INIT if source.name == "__init__.py" else _formatted(path, HEAD + text)


def _formatted(path: Path, text: str) -> str:
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        words = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"]
        text = subprocess.run(words, input=text, capture_output=True, text=True, check=True, timeout=60).stdout
    return text


if __name__ == "__main__":
    for file, wanted in texts():
        file.write_text(wanted)
