"""Runs Tesseract, as a program of its own: it gets a picture and returns words with the confidence of each."""

import os
import shutil
import subprocess
from dataclasses import dataclass

INSTALL = (
    "Workers read pictures of text with Tesseract: install it on their machines (apt-get install tesseract-ocr, "
    "and tesseract-ocr-deu for German and so on) and start them again"
)
LIST_SECONDS = 20
NO_LANGUAGES = {"osd", "equ"}  # of Tesseract's files: the direction of a page, and formulas
WORD = "5"  # the level of a row of its table


@dataclass(frozen=True)
class Recognised:
    """The text of a picture, and the mean confidence of its words in percent."""

    text: str
    confidence: float


def languages() -> list[str]:
    """Return the languages that this machine's Tesseract reads; none if there is no Tesseract."""
    program = shutil.which("tesseract")
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, "--list-langs"], capture_output=True, text=True, timeout=LIST_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    names = {line.strip() for line in listed.stdout.splitlines()[1:]}
    return sorted(name for name in names - NO_LANGUAGES if name and "/" not in name)


def recognise(picture: bytes, chosen: str, seconds: float) -> Recognised:
    """Read a picture in a format that Leptonica knows. No text if Tesseract fails or takes too long.

    It inherits the memory limit of this process. `timeout` ends it even if this process is killed meanwhile.
    """
    command = ["tesseract", "stdin", "stdout", "-l", chosen, "--psm", "1", "tsv"]
    if timeout := shutil.which("timeout"):
        command = [timeout, "--signal=KILL", f"{seconds:.1f}", *command]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}  # the other processors read other documents
    try:
        done = subprocess.run(
            command, input=picture, capture_output=True, timeout=seconds + 1, env=environment, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return Recognised("", 0.0)
    return _text_of(done.stdout.decode("utf-8", "replace"))


def _text_of(table: str) -> Recognised:
    """Put the words of Tesseract's table together, a line for each of its lines."""
    lines: dict[tuple[str, ...], list[str]] = {}
    confidences: list[float] = []
    for row in table.splitlines()[1:]:
        columns = row.split("\t")
        if len(columns) == 12 and columns[0] == WORD and columns[11].strip():
            lines.setdefault(tuple(columns[1:5]), []).append(columns[11].strip())
            confidences.append(float(columns[10]))
    mean = sum(confidences) / len(confidences) if confidences else 0.0
    return Recognised("\n".join(map(" ".join, lines.values())), round(mean, 1))
