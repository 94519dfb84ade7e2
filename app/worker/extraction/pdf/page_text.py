"""The text of one page of a PDF: its lines as PDFium finds them, with what PDFium leaves to its callers repaired."""

import ctypes
import re
from typing import Any

import pypdfium2.raw as pdfium_c

HYPHEN = "\ufffe"  # PDFium's mark of a word that goes on in the next line; get_text_bounded writes \x02
_HYPHENS = re.compile(f"(.?)[{HYPHEN}\x02](?:\r?\n)?(.?)")
_MARKS = re.compile(f"[\\s\x02\xad{HYPHEN}\0]+")
_ALEF_LAM = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)


def text_of_page(page: Any) -> str:
    """Return the text of a page, without characters outside of it."""
    textpage = page.get_textpage()
    raw = textpage.get_text_range()
    if _ALEF_LAM.search(raw) or _MARKS.sub("", raw) != _MARKS.sub("", textpage.get_text_bounded()):
        raw = _by_character(textpage, page.get_bbox())
    lines = _HYPHENS.sub(_join, raw).replace("\r\n", "\n").translate(_LIGATURES).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def _join(match: "re.Match[str]") -> str:
    """Join the halves of a word: `pur-chase` is purchase, but `non-Linear` keeps its hyphen."""
    before, after = match[1], match[2]
    return before + ("" if before.islower() and after.islower() else "-") + after


def _by_character(textpage: Any, box: tuple[float, float, float, float]) -> str:
    """Collect the characters one by one: those outside the page are left out, and lam-alef is put in order."""
    left, bottom, right, top = box
    found: list[str] = []
    before: tuple[float, float] | None = None  # where the character before begins
    edges = [ctypes.c_double() for _ in range(4)]
    for index in range(textpage.count_chars()):
        letter = _character(textpage, index)
        if pdfium_c.FPDFText_IsGenerated(textpage, index) == 1:
            found.append(letter)
            before = None
            continue
        if pdfium_c.FPDFText_GetCharBox(textpage, index, *map(ctypes.byref, edges)):
            x0, x1, y0, y1 = (edge.value for edge in edges)
            if x1 < left or x0 > right or y1 < bottom or y0 > top:
                continue
        origin = _origin(textpage, index)
        if letter == "\u0644" and found and _ALEF_LAM.match(found[-1] + letter) and origin == before:
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
