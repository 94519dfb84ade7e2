"""Reads RTF with striprtf: text, tables, notes, headers and footers."""

import re

from striprtf.striprtf import rtf_to_text

from app.worker.extraction.found import Found, TextLimit, broken, left_out, omitted

# striprtf leaves out notes and margins; as ordinary paragraphs it reads them.
_MARGINS = re.compile(r"\\(header|footer)[lrf]?(?![a-z]) ?")
_NOTES = re.compile(r"\\footnote(?![a-z]) ?")
_PICTURES = re.compile(r"\{\s*\\pict(?![a-z])|\{\s*\\\*\s*\\shppict(?![a-z])")
_TITLE = re.compile(r"\{\\title ([^{}\\]{1,300})\}")
_PAGE = re.compile(r"\\ansicpg(\d+)")


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read a document. Cells of tables have bars between them."""
    raw = content.decode("latin-1")
    page = _PAGE.search(raw[:10_000])
    raw = raw.encode("latin-1").decode(f"cp{page[1]}" if page and _is_known(page[1]) else "cp1252", "replace")
    pictures = len(_PICTURES.findall(raw))
    marked = _NOTES.sub(r"\\par Note: ", _MARGINS.sub(lambda match: rf"\par {match[1].title()}: ", raw))
    try:
        text: str = rtf_to_text(marked, errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, IndexError, KeyError, LookupError) as error:
        raise broken("RTF", error) from error
    lines = (_row(line) for line in text.replace("\xa0", " ").split("\n"))
    title = _TITLE.search(raw[:100_000])
    return Found(
        limit.take(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")),
        {"title": title[1].strip() if title else None, **left_out(omitted(pictures, "picture"))},
    )


def _is_known(page: str) -> bool:
    try:
        "".encode(f"cp{page}")
        return True
    except LookupError:
        return False


def _row(line: str) -> str:
    """Write a row of a table as all other kinds do. striprtf ends each cell with a bar."""
    if not line.endswith("|"):
        return line.rstrip()
    cells = [" ".join(cell.split()) for cell in line[:-1].split("|")]
    return " | ".join(cells).rstrip("| ")
