"""What stands on a page of a PDF beside its text: the values of its fields, and notes."""

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2.raw as pdfium_c

from app.worker.extraction.office.word.fields import CHECKED, UNCHECKED

MAX_ANNOTATIONS = 10_000  # of one page
_NO_NOTES = {pdfium_c.FPDF_ANNOT_POPUP, pdfium_c.FPDF_ANNOT_LINK, pdfium_c.FPDF_ANNOT_WIDGET}
_BOXES = {pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON}
_VALUES = {pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX, pdfium_c.FPDF_FORMFIELD_LISTBOX}


def notes_of(document: Any, page: Any) -> list[str]:
    """Return the filled fields as `name: value`, and the notes as `Note: text`."""
    lines: list[str] = []
    for number in range(min(pdfium_c.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
            if kind == pdfium_c.FPDF_ANNOT_WIDGET and document.formenv:
                lines.append(_field(document.formenv, annotation))
            elif kind not in _NO_NOTES and (note := _string_of(annotation, b"Contents")):
                lines.append(f"Note: {note}")
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)
    return list(dict.fromkeys(filter(None, lines)))


def _field(form: Any, annotation: Any) -> str:
    kind = pdfium_c.FPDFAnnot_GetFormFieldType(form, annotation)
    name = _text(lambda *buffer: pdfium_c.FPDFAnnot_GetFormFieldAlternateName(form, annotation, *buffer))
    name = name or _text(lambda *buffer: pdfium_c.FPDFAnnot_GetFormFieldName(form, annotation, *buffer))
    if kind in _BOXES:
        mark = CHECKED if pdfium_c.FPDFAnnot_IsChecked(form, annotation) else UNCHECKED
        value = _text(lambda *buffer: pdfium_c.FPDFAnnot_GetFormFieldExportValue(form, annotation, *buffer))
        return f"{mark} {name}" + (f": {value}" if value and value not in ("Yes", "On", "Off", "1") else "")
    if kind not in _VALUES:
        return ""
    value = _text(lambda *buffer: pdfium_c.FPDFAnnot_GetFormFieldValue(form, annotation, *buffer))
    return f"{name}: {value}" if name and value else value


def _string_of(annotation: Any, key: bytes) -> str:
    return _text(lambda *buffer: pdfium_c.FPDFAnnot_GetStringValue(annotation, key, *buffer))


def _text(call: Callable[[Any, int], int]) -> str:
    """Call a function of PDFium that fills a buffer with UTF-16, and return the text."""
    size = call(None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(ctypes.cast(buffer, ctypes.POINTER(pdfium_c.FPDF_WCHAR)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()
