"""CSV as spreadsheet programs write it, and Markdown with front matter and links."""

import csv
import io

import pytest

from tests.worker.extraction.reading import read


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        ("sep=;\r\na;b\r\n1,5;2\r\n", ["a | b", "1,5 | 2"]),
        ("sep=\t\na\tb\n", ["a | b"]),
        ("1,50;2,5\n3,50;4,5\n", ["1,50 | 2,5", "3,50 | 4,5"]),
        ('a;"b;c;d"\ne;"f;g;h"\n', ["a | b;c;d", "e | f;g;h"]),
        ('id,text\n1,"x;y;z"\n2,"x;y;z"\n', ["id | text", "1 | x;y;z", "2 | x;y;z"]),
        ('a,b\n1,"open\n2,x\n3,"y, z"\n', ["a | b", "1 | open", "2 | x", "3 | y, z"]),
        ('a,b\n1,"open\n2,x', ["a | b", "1 | open", "2 | x"]),
        ('a,b\n5" pipe,6" pipe\n', ["a | b", '5" pipe | 6" pipe']),
        ('a,"x ""y"" z"\n', ['a | x "y" z']),
        ("only one column\nno mark\n", ["only one column", "no mark"]),
        ("name\tvalue\na, b\t1,5\n", ["name | value", "a, b | 1,5"]),
    ],
)
def test_rows_of_csv(raw: str, rows: list[str]) -> None:
    assert read(raw.encode(), "a.csv", "text/csv").text.split("\n") == rows


def test_thousands_of_rows_with_a_quote_too_many_are_read() -> None:
    raw = "".join(f'{number},"x\n' for number in range(5_000))
    assert len(read(raw.encode(), "a.csv").text.split("\n")) == 5_000


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_among_cells_that_contain_the_others(delimiter: str) -> None:
    file = io.StringIO()
    rows = [["1,5", "a; b", "x | y", f"no {delimiter} here"], ["2,5", "c; d, e", "z", "w"]] * 20
    csv.writer(file, delimiter=delimiter).writerows(rows)
    found = read(file.getvalue().encode(), "a.csv", "text/csv").text.split("\n")
    assert found == [" | ".join(" ".join(cell.split()) for cell in cells) for cells in rows]


@pytest.mark.parametrize(
    ("raw", "text", "title"),
    [
        ("---\ntitle: 'T'\nlist:\n  - a\n---\n# H\n\nText", "H\n\nText", "T"),
        ("---\nnot a field\n---\n\nText", "not a field\n\nText", "not a field"),
        ("Text\n\n---\n\nmore", "Text\n\nmore", None),
        ("[a](b.pdf) <https://x.example> [https://y.example](https://y.example) [m](#)", None, None),
    ],
)
def test_front_matter(raw: str, text: str | None, title: str | None) -> None:
    found = read(raw.encode(), "a.md")
    assert found.metadata.get("title") == title
    assert text is None or found.text == text


def test_addresses_of_links_are_kept_once() -> None:
    raw = (
        "[the *terms*](b.pdf 'x') <https://x.example> [https://y.example](https://y.example) <a@x.example> ![d](p.png)"
    )
    expected = "the terms (b.pdf) https://x.example https://y.example a@x.example d"
    assert read(raw.encode(), "a.md").text == expected
