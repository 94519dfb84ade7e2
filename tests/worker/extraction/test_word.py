"""Word documents: the final view, with everything that a reader of the document sees."""

from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from lxml import etree

from app.worker.extraction import Limits
from tests.support.documents import WORDS
from tests.worker.extraction.reading import left_out, read, why
from tests.worker.extraction.test_presentations import CHART, add_chart, presentation, slide_of
from tests.worker.extraction.word_files import DELETED, macro, onedrive, paragraph, run, strict, word

INSERTED = '<w:ins w:id="2" w:author="a">{}</w:ins>'
BOX = "<w:r><w:pict><v:shape><v:textbox><w:txbxContent>{}</w:txbxContent></v:textbox></v:shape></w:pict></w:r>"
FIELD = (
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>HYPERLINK "x"</w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
)
CHECK_BOX = (
    '<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val="{}"/></w14:checkbox></w:sdtPr>'
    "<w:sdtContent><w:r><w:t>☒</w:t></w:r></w:sdtContent></w:sdt>"
)
OLD_BOX = (
    '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="{}"/></w:checkBox></w:ffData>'
    '</w:fldChar></w:r><w:r><w:instrText>FORMCHECKBOX</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
)
SUPERSCRIPT = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>{}</w:t></w:r>'
FORMULA = "<m:oMath><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>"
SHAPE = (
    "<mc:AlternateContent><mc:Choice Requires='wps'><w:r><w:t>{}</w:t></w:r></mc:Choice>"
    "<mc:Fallback><w:r><w:t>{}</w:t></w:r></mc:Fallback></mc:AlternateContent>"
)
MOVED = "<w:moveFrom w:id='3'>{}</w:moveFrom><w:moveTo w:id='4'>{}</w:moveTo>"


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        (run("is ") + DELETED + INSERTED.format(run("250")) + run(" euros"), "is 250 euros"),
        (MOVED.format(run("old"), run("moved")), "moved"),
        (run("Born: ") + f"<w:sdt><w:sdtPr/><w:sdtContent>{run('1980')}</w:sdtContent></w:sdt>", "Born: 1980"),
        (f'<w:fldSimple w:instr="MERGEFIELD name">{run("Acme")}</w:fldSimple>', "Acme"),
        (run("see ") + FIELD.format(run("the terms")) + run("."), "see the terms."),
        (FIELD.format(run("a") + FIELD.format(run("b"))), "ab"),
        (f'<w:smartTag w:uri="u" w:element="e">{run("Pittsburgh")}</w:smartTag>', "Pittsburgh"),
        (f'<w:hyperlink w:anchor="a">{run("link")}</w:hyperlink>', "link"),
        (CHECK_BOX.format(1) + run(" yes ") + CHECK_BOX.format(0) + run(" no"), "[x] yes [ ] no"),
        (OLD_BOX.format(1) + run(" yes"), "[x] yes"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>' + run(" done"), "[x] done"),
        ("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r>", "a\tb\nc-d"),
        (run("co") + "<w:r><w:softHyphen/></w:r>" + run("operate"), "cooperate"),
        (run("E = m") + FORMULA, "E = mc^2"),
        (run("10") + SUPERSCRIPT.format(2) + run(" m") + SUPERSCRIPT.format(2), "10^2 m2"),
        (run("the 4") + SUPERSCRIPT.format("th"), "the 4th"),
        (run("before") + BOX.format(paragraph(run("in the box"))), "before\n\nin the box"),
        (SHAPE.format("new", "old"), "new"),
    ],
)  # fmt: skip
def test_what_is_in_a_paragraph(runs: str, text: str) -> None:
    assert read(word(paragraph(runs)), "a.docx").text == text


def test_blocks_in_controls_and_insertions_are_read_and_deleted_ends_join() -> None:
    inner = paragraph(run("block"))
    body = f"<w:sdt><w:sdtContent>{inner}</w:sdtContent></w:sdt>{INSERTED.format(inner)}"
    body += paragraph(run("one "), properties="<w:rPr><w:del w:id='9'/></w:rPr>") + paragraph(run("two"))
    assert read(word(body)).text == "block\n\nblock\n\none two"


def numbered(text: str, style: str = "", number: int | None = None, level: int = 0) -> str:
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    if number is not None:
        properties += f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return paragraph(run(text), properties=properties)


LEVELS = "".join(
    f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/><w:lvlText w:val="{text}"/></w:lvl>'
    for level, (kind, text) in enumerate([("decimal", "%1."), ("lowerLetter", "%1.%2)"), ("upperRoman", "(%3)")])
)
NUMBERING = (
    f'<w:abstractNum w:abstractNumId="1">{LEVELS}</w:abstractNum>'
    '<w:abstractNum w:abstractNumId="2"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl>'
    '</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/>'
    '</w:lvlOverride></w:num><w:num w:numId="3"><w:abstractNumId w:val="2"/></w:num>'
)


def test_numbers_of_lists_and_clauses() -> None:
    body = "".join(
        numbered(f"p{place}", number=number, level=level)
        for place, (number, level) in enumerate(
            [(1, 0), (1, 1), (1, 1), (1, 2), (1, 0), (1, 1), (0, 0), (2, 0), (3, 0)]
        )
    )
    lines = read(word(body, numbering=NUMBERING)).text.split("\n\n")
    assert lines == ["1. p0", "1.a) p1", "1.b) p2", "(I) p3", "2. p4", "2.a) p5", "p6", "5. p7", "- p8"]


def test_numbers_that_a_style_gives() -> None:
    document = word(numbered("one", "ListNumber") + numbered("two", "ListNumber") + numbered("milk", "ListBullet"))
    assert read(document).text == "1. one\n\n2. two\n\n- milk"


def test_notes_headers_and_footers_are_read_once_and_marked() -> None:
    def write(document: docx.document.Document) -> None:
        document.sections[0].header.paragraphs[0].text = "Acme Ltd"
        document.sections[0].footer.paragraphs[0].text = "Confidential"
        document.add_section()

    mark = '<w:r><w:{}Reference w:id="{}"/></w:r>'
    note = '<w:{0} w:id="{1}">' + paragraph(run("{2}")) + "</w:{0}>"
    body = paragraph(run("The fee"), mark.format("footnote", 7), run(" is due"), mark.format("footnote", 5))
    body += paragraph(run("End"), mark.format("endnote", 2))
    notes = note.format("footnote", 5, "second") + note.format("footnote", 7, "first") + note.format("footnote", 0, "-")
    content = word(body, write, footnotes=notes, endnotes=note.format("endnote", 2, "last"))
    assert read(content).text.split("\n\n") == [
        "The fee[1] is due[2]", "End[1]", "Footnotes\n[1] first\n[2] second", "Endnotes\n[1] last",
        "Header: Acme Ltd", "Footer: Confidential",
    ]  # fmt: skip


def test_tables_keep_their_rows_and_layouts_their_lines() -> None:
    def write(document: docx.document.Document) -> None:
        table = document.add_table(2, 3)
        for number, cell in enumerate(table._cells):
            cell.text = str(number)
        table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
        layout = document.add_table(1, 2)
        layout.cell(0, 0).text = "Dear Sir,"
        layout.cell(0, 0).add_paragraph("Text.")
        inner = layout.cell(0, 1).add_table(1, 2)
        inner.cell(0, 0).text, inner.cell(0, 1).text = "Item", "Price"
        lines = document.add_table(1, 2)
        lines.cell(0, 0).text = "Seller\nAcme"
        lines.cell(0, 1).text = "Buyer"

    text = read(word("", write)).text
    assert text.split("\n\n") == ["wide |  | 2\n3 | 4 | 5", "Dear Sir,\nText.\nItem | Price", "Seller\nAcme | Buyer"]


@pytest.mark.parametrize(
    ("change", "name"), [(strict, "a.docx"), (onedrive, "a.docx"), (macro, "a.docm"), (macro, "a.dotm")]
)
def test_variants_of_the_format(change: Callable[[bytes], bytes], name: str) -> None:
    content = change(word(numbered("one", "ListNumber") + numbered("milk", "ListBullet")))
    assert read(content, name).text == "1. one\n\n- milk"
    assert read(content, "a", "application/octet-stream").metadata["media_type"].startswith("application/vnd.openxml")


def test_what_is_left_out_is_counted() -> None:
    body = paragraph(run("x"), '<w:r><w:commentReference w:id="1"/></w:r>', DELETED)
    found = read(word(body, lambda document: document.core_properties.__setattr__("title", "T")))
    assert left_out(found) == ["1 comment", "1 tracked deletion"]
    assert found.metadata["title"] == "T"


def test_a_document_type_is_refused() -> None:
    from tests.worker.extraction.hostile import LAUGHS, WORD_XML, repacked

    content = repacked(word(""), word__document_xml=LAUGHS + WORD_XML % b"<w:p><w:r><w:t>&a9;</w:t></w:r></w:p>")
    assert why(content).startswith("is broken: it cannot be read as Word")
    content = repacked(word(""), word__document_xml=b"<!DOCTYPE w>" + WORD_XML % b"")
    assert "has a document type" in why(content)


def test_recall_of_the_words_of_a_body() -> None:
    said = [f"{name}{number}" for number in range(200) for name in WORDS[:10]]
    shapes: list[Callable[[str], str]] = [
        lambda text: paragraph(run(text)),
        lambda text: paragraph(run("x "), DELETED, INSERTED.format(run(text))),
        lambda text: f"<w:sdt><w:sdtContent>{paragraph(run(text))}</w:sdtContent></w:sdt>",
        lambda text: paragraph(run("y"), BOX.format(paragraph(run(text)))),
        lambda text: paragraph(FIELD.format(run(text))),
        lambda text: (
            f"<w:tbl><w:tr><w:tc>{paragraph(run(text))}</w:tc><w:tc>{paragraph(run('z'))}</w:tc></w:tr></w:tbl>"
        ),
        lambda text: numbered(text, "ListNumber"),
    ]
    body = "".join(shapes[place % len(shapes)](text) for place, text in enumerate(said))
    found = set(read(word(body)).text.split())
    assert sum(text in found for text in said) >= 0.995 * len(said)
    assert "gone" not in found


def test_a_table_of_thirty_thousand_rows_is_read_within_the_default_memory() -> None:
    row = "<w:tr>" + "".join(f"<w:tc>{paragraph(run(text))}</w:tc>" for text in ("item", "open", "1.50")) + "</w:tr>"
    limits = Limits(seconds=600)  # on a loaded machine
    text = read(word(f"<w:tbl>{row * 30_000}</w:tbl>"), limits=limits).text
    assert text.count("item | open | 1.50") == 30_000


def test_charts_are_read() -> None:
    charts: list[bytes] = []
    presentation(lambda made: charts.append(add_chart(slide_of(made, "Title")).part.blob))

    relations = RELATIONSHIP_TYPE.STYLES.rpartition("/")[0]
    drawn = '<c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" xmlns:r="{}" r:id="{}"/>'

    def write(document: Any) -> None:
        part = Part(PackURI("/word/charts/chart1.xml"), "application/xml", charts[0], document.part.package)
        identifier = document.part.relate_to(part, f"{relations}/chart")
        paragraph = document.add_paragraph("See the chart.")
        paragraph.add_run()._r.append(etree.fromstring(drawn.format(relations, identifier)))

    found = read(word("", write))
    assert found.text == f"See the chart.\n\n{CHART}"
    assert left_out(found) == []
