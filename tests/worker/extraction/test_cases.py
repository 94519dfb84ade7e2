"""Small files, each with a kind of fault that real files have, and what a reader of them sees."""

from pathlib import Path

import pytest

from tests.worker.extraction.reading import left_out, read, why

CASES = Path(__file__).parent / "cases"
MAIL = "From: a@x.org\nTo: b@x.org\nDate: Tue, 01 Oct 2024 12:34:56 +0000\nSubject: S\n\n"
FRENCH = "Le conseil a décidé que la réunion prévue à la fin du mois serait reportée"
TEXTS = {
    "bigcell.csv": "a | b\n1 | unclosed\n2 | x\n3 | y",
    "decimal_comma.csv": "Name | Betrag | Satz\nA | 1,50 | 2,5\nB | 2,50 | 3,5",
    "excel_de.csv": "Name | Betrag\nMüller | 1.234,50\nMeier | 12,00",
    "quoted.csv": 'id | text | x\n1 | a, b; c; d; e | 2\n2 | line one line two | 3\n3 | say "hi" | 4',
    "quotes_semis.csv": "id | comment\n1 | a;b;c;d\n2 | e;f;g;h\n3 | i;j;k;l",
    "front.md": "Real title\n\nText.",
    "deep300.html": "deep text",
    "page_gb2312.html": "朱镕基总理出席会议。价格：100元。",
    "win1252_meta.html": "We’re “here” – 10 €",
    "word_export.html": "A\nB C2 H2O\nT\nD\nName Jane Doe my comment b Go",
    "table_pretty.html": (
        "Item | Price\nApple pie | 3.50\n | 4.00\nA paragraph that is wrapped in its source over lines.\n"
        "def f():\n    return 1\nSee the terms Sales rose by 4 %\nE = mc^2\n1. One\n2. Two"
    ),
    "html_as.xls": "Item | Price\nPie | 3",
    "email.mht": "From: <Saved by Blink>\nDate: Tue, 01 Oct 2024 12:34:56 +0000\nSubject: Page\n\nSaved page",
    "mail_ascii_utf8.eml": MAIL + "Grüße aus Zürich",
    "mail_attached_text.eml": MAIL + "See attached.",
    "mail_blank_plain.eml": MAIL + "The whole message.",
    "mail_bom.eml": MAIL + "Body",
    "mail_forward.eml": (MAIL + "See below.\n\nForwarded message\nFrom: c@x.org\nSubject: Inner\n\nThe inner message."),
    "mail_from_line.eml": MAIL + "Body",
    "mail_gb2312_gbk.eml": MAIL + "朱镕基总理出席会议。",
    "mail_html_outlook_table.eml": MAIL + "Item | Price\nPie | 3.50",
    "mail_html_unknown_charset.eml": MAIL + "café à Zürich",
    "mail_latin1_quotes.eml": MAIL + "We’re “here” – 10 €",
    "mail_two_texts.eml": MAIL + "First half.\n\nSecond half, with the price.",
    "mail_utf16.eml": MAIL + "Body",
    "formats.xlsx": (
        "Plan\nItem | Share | Zip | Price | Total | When | Hours | Big | Note\n"
        "Pie | 25.6% | 01234 | 1,234.50 € | =D2*2 | 06/05/2024 14:30 | 26:30 | 0.3 | x\n"
        "Merged\n1E+16 | 1E-07 | TRUE |  | #N/A\n1.23457E+19\nComment A2 (Bob): Ask Ann first\n\nSecret\nhidden value"
    ),
    "short.txt": "Größe: 5 m²; Preis: 10 € – für Müller",
    "utf16le_nobom.txt": "Größe und Übergabe, Kosten 10 €",
}
BEGINNINGS = {
    "french.txt": f"{FRENCH}. Où êtes-vous allé ? Les élèves très âgés, à côté de la forêt, ont été reçus.",
    "german.txt": "Die Müllabfuhr kommt früh. Größere Mengen müssen für die Übergabe angemeldet werden – “später”",
    "spanish.txt": "El niño comió piña mañana. ¿Cuándo llegará el señor? La información está aquí: años, España",
    "polish.txt": "Zażółć gęślą jaźń. Łódź, Kraków i Gdańsk są pięknymi miastami; wszyscy mówią, że są najładniejsze.",
    "utf8_one_bad_byte.txt": f"{FRENCH} – coût : 10 €.",
    "utf8_cut_in_character.txt": f"{FRENCH} – coût : 10 €.",
    "utf8_declared_bad.html": "Профиль. Сообщения и контакты. Профиль.",
}

CLAUSES = ["1. Definitions", "2. Payment", "3. Termination", "See clause 2.", "- milk", "- eggs"]
LINES = {
    "tracked_insertion.docx": ["The fee is 250 euros."],
    "form_controls.docx": [
        "Name:", "BLOCK CONTROL Jane Doe", "Born: 1980-01-02", "Client: Acme Ltd", "City: Pittsburgh",
    ],
    "numbered_clauses.docx": CLAUSES,
    "strict.docx": CLAUSES,
    "macro.docm": CLAUSES,
    "onedrive_document2.docx": CLAUSES,
    "layout_table.docx": ["Dear Sir,", "First paragraph.", "Second paragraph.", "Item | Price", "Pie | 3"],
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_what_a_reader_sees(name: str) -> None:
    assert read((CASES / name).read_bytes(), name).text == TEXTS[name]


@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_text_begins_as_it_should(name: str) -> None:
    found = read((CASES / name).read_bytes(), name)
    assert found.text.startswith(BEGINNINGS[name])
    damaged = found.text.count("\ufffd")
    assert damaged == name.startswith("utf8")
    assert left_out(found) == ["1 character that could not be decoded"] * damaged


@pytest.mark.parametrize("name", LINES)
def test_the_lines_are_those_of_the_document(name: str) -> None:
    found = read((CASES / name).read_bytes(), name)
    assert [line.strip() for line in found.text.split("\n") if line.strip()] == LINES[name]


def test_every_case_has_its_value() -> None:
    others = {
        "book.ipynb",
        "rtf.rtf",
        "sub.srt",
        "tsv_as.xls",
        "formats.xlsb",
        "deep.html",
    }  # in test_other_kinds and here
    assert {path.name for path in CASES.iterdir()} == {*TEXTS, *BEGINNINGS, *LINES, *others}


def test_what_is_left_out_of_the_cases_is_said() -> None:
    assert left_out(read((CASES / "mail_attached_text.eml").read_bytes())) == ["1 attachment"]
    assert left_out(read((CASES / "mail_two_texts.eml").read_bytes())) == ["1 attachment"]
    formulas = "1 value of a formula, which is shown instead"
    assert left_out(read((CASES / "formats.xlsx").read_bytes())) == [formulas]


def test_front_matter_is_metadata() -> None:
    found = read((CASES / "front.md").read_bytes(), "front.md")
    assert found.metadata["title"] == "My report"
    assert found.metadata["front_matter"] == {"title": "My report", "author": "Ann"}


def test_a_page_that_is_nested_too_deeply_is_refused_as_a_whole() -> None:
    assert why((CASES / "deep.html").read_bytes(), "deep.html") == "is nested too deeply"
