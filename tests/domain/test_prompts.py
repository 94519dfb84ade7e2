"""Prompts: two placeholders and nothing else, in one pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.prompts import messages, render, uses_name


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("Summarise:\n\n{document}", "Summarise:\n\nTEXT"),
        ("{name}: {document} ({name})", "a.txt: TEXT (a.txt)"),
        ('Answer as {"name": "...", "size": {"n": 1}}', 'Answer as {"name": "...", "size": {"n": 1}}'),
        ('{"text": "{document}"}', '{"text": "TEXT"}'),
        ("{ document } {Document} {doc} {} {0} {document!r} {document.x}",) * 2,
        ("{metadata.page}", "{metadata.page}"),
        ("Write {{document}} and {{name}}", "Write {document} and {name}"),
        ("{{{document}}}", "{{document}}"),
        ("{{other}} %s $name \\1", "{{other}} %s $name \\1"),
        ("{", "{"),
        ("}{document}{", "}TEXT{"),
        ("", ""),
    ],
)
def test_render(template: str, rendered: str) -> None:
    assert render(template, "TEXT", "a.txt") == rendered


def test_what_a_document_says_is_no_placeholder() -> None:
    assert render("{name}|{document}", "{name} {document} {{name}} \\g<1>", "{document}") == (
        "{document}|{name} {document} {{name}} \\g<1>"
    )


@given(text=st.text(), name=st.text())
def test_text_and_name_arrive_unchanged(text: str, name: str) -> None:
    assert render("<{name}|{document}>", text, name) == f"<{name}|{text}>"


@given(template=st.text().filter(lambda t: "{document}" not in t and "{name}" not in t))
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
    ("templates", "used"),
    [(("{name}",), True), (("{{name}}",), False), (("{document}", None), False), (("{document}", "of {name}"), True)],
)
def test_whether_a_documents_name_is_asked_about(templates: tuple[str | None, ...], used: bool) -> None:
    assert uses_name(*templates) is used
