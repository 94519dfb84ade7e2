"""The text of one page of a PDF: its lines as PDFium finds them, with what PDFium leaves to its callers repaired."""

import ctypes
import re
from typing import Any

import pypdfium2.raw as pdfium_c

HYPHEN = "\ufffe"  # PDFium's mark of a word that goes on in the next line; get_text_bounded writes \x02
_HYPHENS = re.compile(f"(.?)[{HYPHEN}\x02](?:\r?\n)?(.?)")
_MARKS = ("\x02", "\xad", HYPHEN, "\0")
_ALEF_LAM = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_LIGATURES = {
    "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"
}  # fmt: skip


def text_of_page(page: Any) -> str:
    """Return the text of a page, without characters outside of it."""
    textpage = page.get_textpage()
    raw = textpage.get_text_range()
    is_reversed = bool(_ALEF_LAM.search(raw))
    if is_reversed or _unmarked(raw) != _unmarked(textpage.get_text_bounded()):
        raw = _by_character(textpage, page.get_bbox(), is_reversed)
    if HYPHEN in raw or "\x02" in raw:
        raw = _HYPHENS.sub(_join, raw)
    for ligature, letters in _LIGATURES.items():
        raw = raw.replace(ligature, letters)
    return "\n".join(line.rstrip() for line in raw.replace("\r\n", "\n").split("\n")).strip()


def _unmarked(text: str) -> str:
    """Return a text without white space and marks, in which two ways to ask PDFium differ."""
    text = "".join(text.split())
    for mark in _MARKS:
        text = text.replace(mark, "")
    return text


def _join(match: "re.Match[str]") -> str:
    """Join the halves of a word: `pur-chase` is purchase, but `non-Linear` keeps its hyphen."""
    before, after = match[1], match[2]
    return before + ("" if before.islower() and after.islower() else "-") + after


def _by_character(textpage: Any, box: tuple[float, float, float, float], is_reversed: bool) -> str:
    """Collect the characters one by one, without those outside the page; put lam-alef in order if it is reversed."""
    left, bottom, right, top = box
    found: list[str] = []
    before: tuple[float, float] | None = None  # where the character before begins
    edges = [ctypes.c_double() for _ in range(4)]
    places = [ctypes.byref(edge) for edge in edges]
    for index in range(textpage.count_chars()):
        letter = _character(textpage, index)
        if pdfium_c.FPDFText_IsGenerated(textpage, index) == 1:
            found.append(letter)
            before = None
            continue
        if pdfium_c.FPDFText_GetCharBox(textpage, index, *places):
            x0, x1, y0, y1 = [edge.value for edge in edges]
            if x1 < left or x0 > right or y1 < bottom or y0 > top:
                continue
        origin = _origin(textpage, index) if is_reversed else None
        if origin and origin == before and found and _ALEF_LAM.match(found[-1] + letter):
            found.insert(-1, letter)  # one glyph of two letters, which PDFium reversed with its line
        else:
            found.append(letter)
        before = origin
    return re.sub(r"[ ]*\r?\n(?:[ ]*\r?\n)+", "\n", "".join(found))


def _character(textpage: Any, index: int) -> str:
    code = pdfium_c.FPDFText_GetUnicode(textpage, index)
    if pdfium_c.FPDFText_IsHyphen(textpage, index) == 1:
        return HYPHEN
    return chr(code) if 0 < code < 0xD800 or 0xE000 <= code < 0x110000 else ""


def _origin(textpage: Any, index: int) -> tuple[float, float] | None:
    x, y = ctypes.c_double(), ctypes.c_double()
    found = pdfium_c.FPDFText_GetCharOrigin(textpage, index, ctypes.byref(x), ctypes.byref(y))
    return (round(x.value, 3), round(y.value, 3)) if found else None
