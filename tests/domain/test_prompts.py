"""Prompts: three kinds of placeholder and nothing else, in one pass."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.prompts import PLACEHOLDER, messages, placeholders, places_of_document, render

METADATA: dict[str, Any] = {
    "author": "Ann",
    "pages": 3,
    "origin": {"file": "a.pdf", "file-size": 1.5},
    "tags": ["ä"],
    "signed": True,
    "nothing": None,
}


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("Summarise:\n\n{document}", "Summarise:\n\nTEXT"),
        ("{name}: {document} ({name})", "a.txt: TEXT (a.txt)"),
        ('Answer as {"name": "...", "size": {"n": 1}}', 'Answer as {"name": "...", "size": {"n": 1}}'),
        ('{"text": "{document}"}', '{"text": "TEXT"}'),
        ("{ document } {Document} {doc} {} {0} {document!r} {document.x}",) * 2,
        ("by {metadata.author}, {metadata.pages} pages", "by Ann, 3 pages"),
        ("{metadata.origin.file} {metadata.origin.file-size}", "a.pdf 1.5"),
        ("{metadata.origin} {metadata.tags} {metadata.signed}", '{"file": "a.pdf", "file-size": 1.5} ["ä"] true'),
        ("<{metadata.nothing}{metadata.unknown}{metadata.author.first}{metadata.tags.0}>", "<>"),
        ("{metadata} {metadata.} {metadata.a b} {metadata.author.} {Metadata.author}",) * 2,
        ("Write {{metadata.author}}", "Write {metadata.author}"),
        ("Write {{document}} and {{name}}", "Write {document} and {name}"),
        ("{{{document}}}", "{{document}}"),
        ("{{other}} %s $name \\1", "{{other}} %s $name \\1"),
        ("{", "{"),
        ("}{document}{", "}TEXT{"),
        ("", ""),
    ],
)
def test_render(template: str, rendered: str) -> None:
    assert render(template, "TEXT", "a.txt", METADATA) == rendered


def test_what_a_document_says_is_no_placeholder() -> None:
    assert render("{name}|{document}", "{name} {document} {{name}} \\g<1>", "{document}") == (
        "{document}|{name} {document} {{name}} \\g<1>"
    )
    assert render("{metadata.a}", "TEXT", "a.txt", {"a": "{document} {metadata.a}"}) == "{document} {metadata.a}"


@given(text=st.text(), name=st.text())
def test_text_and_name_arrive_unchanged(text: str, name: str) -> None:
    assert render("<{name}|{document}>", text, name) == f"<{name}|{text}>"


@given(template=st.text().filter(lambda t: not PLACEHOLDER.search(t)))
def test_other_templates_stay_as_they_are(template: str) -> None:
    assert render(template, "TEXT", "a.txt") == template


@pytest.mark.parametrize(
    ("template", "content"),
    [
        ("Summarise: {document}", "Summarise: TEXT"),
        ("Summarise this.", "Summarise this.\n\nTEXT"),
        ("Summarise {name}.\n", "Summarise a.txt.\n\nTEXT"),
        ("Say {{document}}.", "Say {document}.\n\nTEXT"),  # the literal word is no placeholder
        ("", "TEXT"),
        (" \n", "TEXT"),
    ],
)
def test_the_document_is_never_left_out(template: str, content: str) -> None:
    assert messages(template, "TEXT", "a.txt") == [{"role": "user", "content": content}]


def test_a_name_that_looks_like_the_placeholder_does_not_stand_for_the_document() -> None:
    assert messages("About {name}:", "TEXT", "{document}")[0]["content"] == "About {document}:\n\nTEXT"


@given(template=st.text(), text=st.text(min_size=1))
def test_messages_always_hold_the_text(template: str, text: str) -> None:
    (message,) = messages(template, text, "a.txt")
    assert text in message["content"]


@pytest.mark.parametrize(
    ("system", "template", "contents"),
    [
        ("You are {metadata.author}.", "{document}", ["You are Ann.", "TEXT"]),
        ('Answer as {"n": 1}, {{name}}.', "Of {name}:", ['Answer as {"n": 1}, {name}.', "Of a.txt:\n\nTEXT"]),
        ("Read {document}", "What is it?", ["Read TEXT", "What is it?"]),  # it is there already
        ("", "{document}", ["", "TEXT"]),
    ],
)
def test_a_system_text_goes_first(system: str, template: str, contents: list[str]) -> None:
    made = messages(template, "TEXT", "a.txt", METADATA, system)
    assert [message["role"] for message in made] == ["system", "user"]
    assert [message["content"] for message in made] == contents


def test_what_is_filled_in() -> None:
    found = placeholders("{name} {{document}} {metadata.a.b} {other}", None, "{metadata.c}")
    assert found == {"name", "metadata.a.b", "metadata.c"}


@pytest.mark.parametrize(
    ("template", "system", "found"),
    [
        ("Read {document}!", None, [(0, 5)]),
        ("{{document}} {document}{name}{document}", None, [(0, 11), (0, 22)]),
        ("Read it.", None, [(0, 10)]),
        ("", None, [(0, 0)]),
        ("Read it.  ", "Be brief.", [(1, 10)]),
        ("Read it.", "{name}: {document}", [(0, 7)]),
        ("{document}", "{document}", [(0, 0), (1, 0)]),
    ],
)
def test_where_the_document_is_in_its_messages(template: str, system: str | None, found: list[tuple[int, int]]) -> None:
    given = (template, "TEXT é", "a.txt", METADATA, system)
    rendered = messages(*given)
    places = places_of_document(rendered, *given)
    assert [(each["message"], each["start"]) for each in places] == found
    assert {rendered[each["message"]]["content"][each["start"] : each["end"]] for each in places} == {"TEXT é"}


def test_a_document_without_text_is_nowhere() -> None:
    assert places_of_document(messages("{document}", "", "a.txt"), "{document}", "", "a.txt") == []
