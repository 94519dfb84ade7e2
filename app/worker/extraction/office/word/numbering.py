"""Numbers and bullets of lists and clauses, which Word computes and does not save as text."""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from app.worker.extraction.office.archive import attribute, child, local
from app.worker.extraction.office.word.numerals import numeral

MAX_LEVEL = 8
MAX_STYLES = 20  # that one style is based on, one after the other


@dataclass
class _Level:
    format: str = "decimal"
    text: str = ""
    start: int = 1
    restart: int | None = None
    style: str | None = None
    decimal_only: bool = False


class Numbering:
    """Gives each paragraph its number. Must see all numbered paragraphs in their order."""

    def __init__(self, numbering: Any, styles: Any) -> None:
        """Take the roots of numbering.xml and styles.xml, or None."""
        self._lists: dict[str, dict[int, _Level]] = {}  # by abstractNumId
        self._abstract_of: dict[str, str] = {}  # by numId
        self._starts: dict[str, dict[int, int]] = {}  # by numId: levels that begin anew
        self._counters: dict[str, dict[int, int]] = defaultdict(dict)  # by abstractNumId
        self._begun: set[str] = set()
        self._styles = (
            {attribute(style, "styleId"): style for style in styles if local(style.tag) == "style"}
            if styles is not None
            else {}
        )
        self._of_styles: dict[str, tuple[str | None, int | None]] = {}  # numId and level, of those that were looked up
        self._default_style = next((name for name, style in self._styles.items() if _is_default(style)), None)
        if numbering is not None:
            self._read(numbering)

    def bullet(self, properties: Any) -> str:
        """Return what precedes the text of a paragraph with these properties (`pPr` or None), and count it."""
        number, level = self._number_of(properties)
        if number is None or number == "0":
            return ""
        abstract = self._abstract_of.get(number, "")
        levels = self._lists.get(abstract, {})
        definition = levels.get(level)
        if definition is None:
            return ""
        counter = self._count(number, abstract, level, levels)
        if definition.format == "bullet":
            return "  " * level + "- "
        text = re.sub(
            r"%([1-9])", lambda match: self._shown(int(match[1]) - 1, definition, levels, counter), definition.text
        )
        return f"{text.strip()} " if text.strip() else ""

    def _count(self, number: str, abstract: str, level: int, levels: dict[int, _Level]) -> dict[int, int]:
        counter = self._counters[abstract]
        if number not in self._begun:
            self._begun.add(number)
            for changed in self._starts.get(number, {}):
                counter.pop(changed, None)
        start = self._starts.get(number, {}).get(level, levels[level].start)
        counter[level] = counter[level] + 1 if level in counter else start
        for deeper in [each for each in counter if each > level]:
            restart = levels[deeper].restart if deeper in levels else None
            if restart is None or (restart and level < restart):
                del counter[deeper]
        return counter

    def _shown(self, level: int, definition: _Level, levels: dict[int, _Level], counter: dict[int, int]) -> str:
        other = levels.get(level, _Level())
        value = counter.get(level, other.start)
        return numeral(value, "decimal" if definition.decimal_only else other.format)

    def _number_of(self, properties: Any) -> tuple[str | None, int]:
        """Return numId and level, from the paragraph itself or else from its style."""
        direct = child(properties, "numPr") if properties is not None else None
        number, level = _ids(direct)
        style = attribute(child(properties, "pStyle")) if properties is not None else None
        if number is None and (style := style or self._default_style):
            number, of_style = self._of_style(style)
            level = of_style if level is None else level
        return number, min(level or 0, MAX_LEVEL)

    def _of_style(self, style: str) -> tuple[str | None, int | None]:
        """Return numId and level of a style: its own, or those of a style that it is based on."""
        if style not in self._of_styles:
            self._of_styles[style] = self._read_style(style)
        return self._of_styles[style]

    def _read_style(self, style: str | None) -> tuple[str | None, int | None]:
        for _ in range(MAX_STYLES):
            found = self._styles.get(style) if style else None
            if found is None or style is None:
                break
            number, level = _ids(child(found, "pPr", "numPr"))
            if number is not None:
                return number, self._level_of_style(number, style) if level is None else level
            style = attribute(child(found, "basedOn"))
        return None, None

    def _level_of_style(self, number: str, style: str | None) -> int:
        levels = self._lists.get(self._abstract_of.get(number, ""), {})
        return next((level for level, each in levels.items() if each.style == style), 0)

    def _read(self, root: Any) -> None:
        links: dict[str, str] = {}
        named: dict[str, str] = {}
        for element in root:
            if local(element.tag) == "abstractNum":
                name = attribute(element, "abstractNumId") or ""
                self._lists[name] = {
                    _integer(attribute(each, "ilvl")): _level(each) for each in element if local(each.tag) == "lvl"
                }
                if link := attribute(child(element, "numStyleLink")):
                    links[name] = link
                if style := attribute(child(element, "styleLink")):
                    named[style] = name
            elif local(element.tag) == "num":
                self._read_num(element)
        for name, link in links.items():
            if link in named:
                self._lists[name] = self._lists[named[link]]

    def _read_num(self, element: Any) -> None:
        number, abstract = attribute(element, "numId") or "", attribute(child(element, "abstractNumId")) or ""
        self._abstract_of[number] = abstract
        for change in element:
            if local(change.tag) != "lvlOverride":
                continue
            level = _integer(attribute(change, "ilvl"))
            start = attribute(child(change, "startOverride"))
            if start is not None:
                self._starts.setdefault(number, {})[level] = _integer(start, 1)
            if (redefined := child(change, "lvl")) is not None:
                own = f"{abstract}/{number}"
                self._lists.setdefault(own, dict(self._lists.get(abstract, {})))[level] = _level(redefined)
                self._abstract_of[number] = own


def _is_default(style: Any) -> bool:
    return attribute(style, "type") == "paragraph" and attribute(style, "default") in ("1", "true")


def _ids(properties: Any) -> tuple[str | None, int | None]:
    if properties is None:
        return None, None
    level = attribute(child(properties, "ilvl"))
    return attribute(child(properties, "numId")), _integer(level) if level is not None else None


def _level(element: Any) -> _Level:
    restart = attribute(child(element, "lvlRestart"))
    return _Level(
        format=attribute(child(element, "numFmt")) or "decimal",
        text=attribute(child(element, "lvlText")) or "",
        start=_integer(attribute(child(element, "start")), 1),
        restart=_integer(restart) if restart is not None else None,
        style=attribute(child(element, "pStyle")),
        decimal_only=child(element, "isLgl") is not None,
    )


def _integer(raw: str | None, default: int = 0) -> int:
    try:
        return max(0, min(int(raw or default), 1_000_000))
    except ValueError:
        return default
