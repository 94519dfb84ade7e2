"""The formats of lists in an OpenDocument file: for each style, the number or bullet of each level."""

from dataclasses import dataclass
from typing import Any

from app.worker.extraction.office.archive import local
from app.worker.extraction.office.word.numerals import numeral

STYLES = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}


@dataclass(frozen=True)
class Level:
    """How items of one level are numbered. A level without a style of numbers has bullets."""

    style: str = ""
    before: str = ""
    after: str = ""
    shown_levels: int = 1
    start: int = 1

    def number(self, numbers: list[int], levels: dict[int, "Level"]) -> str:
        """Write the number of an item; `numbers` are those of all levels down to it."""
        depth = len(numbers)
        shown = range(max(1, depth - self.shown_levels + 1), depth + 1)
        parts = (numeral(numbers[level - 1], STYLES.get(levels.get(level, self).style, "decimal")) for level in shown)
        return f"{self.before}{'.'.join(parts)}{self.after or '.'} "


def list_formats(*roots: Any) -> dict[str, dict[int, Level]]:
    """Read the list styles of the parts of a file: `{name: {level: format}}`."""
    found: dict[str, dict[int, Level]] = {}
    for root in roots:
        for style in root.iter("{*}list-style", "{*}outline-style") if root is not None else ():
            attributes = _plain(style)
            listed = [each for each in style if "level-style" in local(each.tag)]
            levels = {_integer(_plain(each).get("level")): _level(each) for each in listed}
            found.setdefault(attributes.get("name") or "Outline", levels)
    return found


def _level(element: Any) -> Level:
    attributes = _plain(element)
    if local(element.tag) not in ("list-level-style-number", "outline-level-style"):
        return Level()
    return Level(
        style=attributes.get("num-format", ""),
        before=attributes.get("num-prefix", ""),
        after=attributes.get("num-suffix", ""),
        shown_levels=_integer(attributes.get("display-levels")),
        start=_integer(attributes.get("start-value")),
    )


def _plain(element: Any) -> dict[str, str]:
    return {local(name): value for name, value in element.attrib.items()}


def _integer(raw: str | None) -> int:
    return int(raw) if raw and raw.isdigit() and len(raw) < 9 else 1
