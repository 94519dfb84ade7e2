"""HTML as a browser shows it."""

import pytest

from tests.worker.extraction.reading import left_out, read


def html(body: str) -> str:
    return read(f"<html><body>{body}</body></html>".encode(), "a.html", "text/html; charset=utf-8").text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>one\n  two</p>\n<p>three&nbsp;four</p>", "one two\nthree four"),
        ("co&shy;ope&#8203;rate", "cooperate"),
        ("<span>a</span><span>b</span> <b>c</b>", "ab c"),
        ("<pre>\nif x:\n    y\n\n  z</pre>after", "if x:\n    y\n\n  z\nafter"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c"),
        ("<ol start=3><li>a<li value=7>b<li>c</ol>", "3. a\n7. b\n8. c"),
        ("10<sup>2</sup> m<sup>2</sup> CO<sub>2</sub> 2024<sup>a</sup>", "10^2 m2 CO2 2024a"),
        ("<p hidden>a</p><p style='DISPLAY: none'>b</p><p style='visibility:hidden'>c</p><template>d</template>e", "e"),
        ("<input type=hidden value=no><input type=checkbox checked>yes<input type=checkbox>no", "[x] yes [ ] no"),
        ("<input value=Jane><input type=password value=secret><textarea>a\nb</textarea>", "Jane a b"),
        ("<select><option>a<option selected>b</select> <button>Go</button>", "b Go"),
        ("<img alt='Sales rose'><img alt=''>x", "Sales rose x"),
        ("<svg><title>t</title><text>Q1</text><text>Q2</text></svg>", "Q1 Q2"),
        ("<math><mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mi>c</mi></mrow></mfrac></math>", "a/(b+c)"),
        ("<dl><dt>T<dd>D</dl>", "T\nD"),
        ("x<?php echo 1 ?>y", "xy"),
    ],
)
def test_what_a_browser_shows(body: str, text: str) -> None:
    assert html(body) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("<tr>\n<td>a</td>\n<td><p>b</p></td>\n</tr>", "a | b"),
        ("<tr><td>a<br>b<td><p>c</p><p>d</p></tr>", "a b | c d"),
        ("<tr><td>a<td>b<tr><td>c<td>d", "a | b\nc | d"),
        ("<tr><td colspan=2>a<td>b</tr>", "a |  | b"),
        ("<tr><td rowspan=2>a<td>b</tr><tr><td>c</tr><tr><td>d<td>e</tr>", "a | b\n | c\nd | e"),
        ("<tr><td></td><td>4.00</td></tr><tr><td> </td></tr>", " | 4.00"),
        ("<tr><td><p>Dear Sir,</p><p>Text</p></td></tr>", "Dear Sir,\nText"),
        ("<tr><td>left<table><tr><td>a<td>b</tr></table><td>right</tr>", "left\na | b\nright"),
        ("<td>a</td><td>b</td>", "a | b"),
        ("<caption>Prices</caption><tr><th>a<th>b", "Prices\na | b"),
        (f"<tr><td><p>{'long ' * 70}</p><p>text</p><td>side</tr>", "long " * 70 + "\ntext\nside"),
    ],
)
def test_rows_of_tables_stay_whole_and_layouts_keep_their_lines(rows: str, text: str) -> None:
    assert html(f"<table>\n{rows}\n</table>") == text.replace("long \n", "long\n")


def test_text_after_a_table_that_never_ends_is_read() -> None:
    assert html("<table><tr><td>a<td>b").splitlines() == ["a | b"]
    assert html("before<table><tr><td>a</td></tr></table>after") == "before\na\nafter"


def test_metadata_of_a_page() -> None:
    found = read(b"<html lang=fr><title>T\n t</title><img src=a><img src=b width=1><p>x", "a.html")
    assert (found.metadata["title"], found.metadata["language"]) == ("T t", "fr")
    assert left_out(found) == ["1 picture without a description"]


def test_data_rows_are_whole() -> None:
    """A row that a program wrote over many lines, with paragraphs in its cells, is one line."""
    row = "<tr>\n  <td>\n    <p class=x>{}</p>\n  </td>\n  <td><div><span>\n{}</span></div>\n</td>\n <td>{}</td></tr>\n"
    rows = [(f"item {number}", f"{number}.50", f"note on\n {number}") for number in range(200)]
    lines = html("<table>" + "".join(row.format(*cells) for cells in rows) + "</table>").split("\n")
    whole = sum(" | ".join(" ".join(cell.split()) for cell in cells) in lines for cells in rows)
    assert whole >= 0.90 * len(rows)
    assert whole == len(rows)
