"""PDF: words without control characters, lines as they are, fields and notes, pages without text."""

import io
from collections.abc import Callable

import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.worker.extraction.pdf_files import pdf_of_glyphs
from tests.worker.extraction.reading import left_out, read


def pdf(*pages: Callable[[Canvas], None]) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True, pagesize=(600, 800))
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def lines(*texts: str) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(72, 700)
        for line in texts:
            text.textLine(line)
        canvas.drawText(text)

    return draw


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (["The pur-", "chase of goods"], "The purchase of goods"),
        (["a non-", "Linear map"], "a non-Linear map"),
        (["2019-", "20 and more"], "2019-\n20 and more"),
        (["400.01", "3"], "400.01\n3"),
        (["one", "two"], "one\ntwo"),
    ],
)
def test_words_over_the_end_of_a_line(written: list[str], text: str) -> None:
    assert read(pdf(lines(*written))).text == text


def test_numbers_on_lines_below_each_other_are_not_glued() -> None:
    def draw(canvas: Canvas) -> None:
        for place, row in enumerate([("400.01", "3"), ("400.02", "4"), ("400.03", "5")]):
            canvas.drawString(72, 700 - 12 * place, row[0])
            canvas.drawString(172, 700 - 12 * place, row[1])

    words = read(pdf(draw)).text.split()
    assert words == ["400.01", "3", "400.02", "4", "400.03", "5"]


def test_characters_outside_the_page_are_no_text() -> None:
    def draw(canvas: Canvas) -> None:
        lines("inside", "the page-", "break")(canvas)
        canvas.drawString(700, 400, "right of it")
        canvas.drawString(72, -30, "below it")

    assert read(pdf(draw)).text == "inside\nthe pagebreak"


def test_fields_and_notes_are_read() -> None:
    def draw(canvas: Canvas) -> None:
        lines("Form")(canvas)
        form = canvas.acroForm
        form.textfield(name="name", value="Jane Doe", x=72, y=300, width=200, height=20)
        form.textfield(name="empty", value="", x=72, y=330, width=200, height=20)
        form.checkbox(name="c", checked=True, x=72, y=270, tooltip="I agree")
        form.checkbox(name="d", checked=False, x=92, y=270, tooltip="I do not")
        form.choice(name="country", value="Chile", options=["Chile", "Peru"], x=72, y=240, width=100, height=20)
        canvas.textAnnotation("Ask Ann", Rect=[72, 200, 90, 220])

    assert read(pdf(draw)).text.split("\n") == [
        "Form", "name: Jane Doe", "[x] I agree", "[ ] I do not", "country: Chile", "Note: Ask Ann",
    ]  # fmt: skip


def test_pages_without_text_are_named() -> None:
    found = read(pdf(lines("one"), lambda canvas: canvas.rect(1, 1, 9, 9), lines("three"), lambda canvas: None))
    assert found.text == "one\n\nthree"
    assert found.metadata["pages"] == 4
    assert found.metadata["pages_without_text"] == [2, 4]
    assert found.metadata["left_out"] == [{"what": "2 pages without text", "pages": [2, 4]}]
    assert left_out(read(pdf(lines("one")))) == []


@pytest.mark.parametrize("ligature", ["\u0644\u0627", "\ufefb", "\u0644\u0623"])
def test_lam_alef_is_read_from_right_to_left(ligature: str) -> None:
    expected = "\u0633" + ("\u0644\u0627" if ligature == "\ufefb" else ligature) + "\u0645"
    assert read(pdf_of_glyphs(["\u0645", ligature, "\u0633"])).text == expected


def test_alef_and_lam_of_two_glyphs_stay_in_order() -> None:
    assert read(pdf_of_glyphs(["\u0645", "\u0644", "\u0627"])).text == "\u0627\u0644\u0645"


def test_ligatures_and_controls_of_fonts_are_letters_or_nothing() -> None:
    assert read(pdf_of_glyphs(["o", "\ufb03", "c", "e", "\x02", "s"])).text.replace("\n", "") == "offices"
