"""PowerPoint: slides in their order, with everything that stands on them."""

import io
from collections.abc import Callable
from typing import Any

import pptx
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from tests.support.documents import WORDS
from tests.worker.extraction.reading import left_out, read
from tests.worker.extraction.word_files import renamed


def presentation(write: Callable[[Any], None]) -> bytes:
    made, file = pptx.Presentation(), io.BytesIO()
    write(made)
    made.save(file)
    return file.getvalue()


def slide_of(made: Any, *lines: str) -> Any:
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = lines[0]
    slide.placeholders[1].text = "\n".join(lines[1:])
    return slide


CHART = "Chart: Sales\n | North | South\n2024 | 1,200.5 | 10%\n2025 |  | 20%"


def add_chart(slide: Any) -> Any:
    data = CategoryChartData()
    data.categories = ["2024", "2025"]
    data.add_series("North", (1200.5, None), number_format="#,##0.0")
    data.add_series("South", (0.1, 0.2), number_format="0%")
    chart = slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, 0, 100, 100, data).chart
    chart.chart_title.text_frame.text = "Sales"
    return chart


def test_titles_bullets_tables_groups_and_notes() -> None:
    def write(made: Any) -> None:
        slide = slide_of(made, "Plan", "one", "two")
        slide.notes_slide.notes_text_frame.text = "Say hello"
        table = slide.shapes.add_table(2, 2, 0, 0, Inches(4), Inches(1)).table
        for number, cell in enumerate(["Item", "Price", "Pie", "3.50"]):
            table.cell(number // 2, number % 2).text = cell
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "in a group"
        slide_of(made, "Second", "three")

    found = read(presentation(write), "a.pptx")
    assert found.text == (
        "Slide 1\nPlan\none\ntwo\nItem | Price\nPie | 3.50\nin a group\nNotes: Say hello\n\nSlide 2\nSecond\nthree"
    )
    assert found.metadata["slides"] == 2


def test_hidden_slides_and_charts_are_read() -> None:
    def write(made: Any) -> None:
        slide = slide_of(made, "Hidden", "text")
        slide._element.set("show", "0")
        add_chart(slide)

    found = read(presentation(write))
    assert found.metadata["hidden_slides"] == [1]
    assert found.text == f"Slide 1\nHidden\ntext\n{CHART}"
    assert left_out(found) == []


def test_a_chart_whose_values_are_not_in_the_file_is_counted() -> None:
    content = presentation(lambda made: add_chart(slide_of(made, "Title", "text")))
    lost = renamed(content, lambda name, part: (name, b"<c/>" if "charts/chart" in name else part))
    found = read(lost)
    assert (found.text, left_out(found)) == ("Slide 1\nTitle\ntext", ["1 chart"])


def test_a_scatter_chart() -> None:
    def write(made: Any) -> None:
        data = XyChartData()
        points = data.add_series("measured")
        points.add_data_point(0.5, 2)
        points.add_data_point(1.5, 4)
        slide_of(made, "Title", "text").shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, 0, 100, 100, data)

    assert read(presentation(write)).text.endswith("\ntext\nChart:\n | measured\n0.5 | 2\n1.5 | 4")


def test_variants_with_macros_and_shows() -> None:
    content = presentation(lambda made: slide_of(made, "Title", "text"))
    plain = b"openxmlformats-officedocument.presentationml.presentation.main"
    other = b"ms-powerpoint.presentation.macroEnabled.main"
    macro = renamed(content, lambda name, part: (name, part.replace(plain, other)))
    for name in ("a.pptm", "a.ppsx", "a"):
        assert read(macro, name).text == "Slide 1\nTitle\ntext"


def test_recall_of_the_words_of_slides() -> None:
    said = [f"{word}{number}" for number in range(30) for word in WORDS]
    content = presentation(
        lambda made: [slide_of(made, *said[start : start + 20]) for start in range(0, len(said), 20)]
    )
    found = set(read(content).text.split())
    assert all(word in found for word in said)
