"""Parses the code of a number format, such as `#,##0.00 "€";[Red]-0%`, into its sections."""

import operator
import re
from dataclasses import dataclass, field

DIGITS = "0#?"
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<space>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General)|(?P<ampm>AM/PM|A/P)|(?P<exponent>[Ee][+-][0#?]+)|(?P<seconds>ss?\.0+)"
    r"|(?P<date>[yY]+|[mM]+|[dD]+|[hH]+|[sS]+|(?<![A-Za-z])[eE](?![+-]))|(?P<mark>.)",
    re.S | re.I,
)
_CONDITION = re.compile(r"(<=|>=|<>|=|<|>)(-?[\d.]+)\Z")
_ELAPSED = re.compile(r"(h+|m+|s+)\Z", re.I)
_COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip


@dataclass
class Section:
    """One section of a code. `tokens` are pairs of a kind and a text."""

    tokens: list[tuple[str, str]] = field(default_factory=list)
    condition: tuple[str, float] | None = None
    is_text: bool = False
    is_general: bool = False
    is_date: bool = False
    integers: list[str] = field(default_factory=list)  # placeholders before the point
    decimals: list[str] = field(default_factory=list)  # placeholders after it
    exponent: str = ""
    denominator: str = ""
    grouped: bool = False
    percents: int = 0
    thousands: int = 0  # that the number is divided by
    before: str = ""  # literals before the digits
    after: str = ""

    @property
    def has_digits(self) -> bool:
        return bool(self.integers or self.decimals)

    def holds(self, value: float) -> bool:
        sign, limit = self.condition or ("=", 0.0)
        return bool(_COMPARE[sign](value, limit))

    def plain_format(self) -> str:
        """Return the format of `str.format` that does the same; '' if there is none."""
        kinds = {kind for kind, _ in self.tokens}
        places = "".join(self.integers)
        simple = kinds <= {"digit", "point", "comma"} and set(self.decimals) <= {"0"} and not self.thousands
        if not simple or self.is_text or not places.endswith("0") or places.count("0") > 1 or self.percents:
            return ""
        return f"{{:{',' if self.grouped else ''}.{len(self.decimals)}f}}" if not self.condition else ""

    def literal(self) -> str:
        return "".join(text for kind, text in self.tokens if kind == "literal").strip()

    def fill(self, whole: str, decimals: str) -> str:
        """Put the digits of a number in the places of the section."""
        places = self._whole_places(whole)
        text, fraction, point = "", iter(decimals), False
        for kind, mark in self.tokens:
            if kind == "literal":
                text += mark
            elif kind == "point":
                point = True
                text += "." if decimals else ""
            elif kind == "digit":
                text += next(fraction, "") if point else next(places, "")
        return text

    def _whole_places(self, whole: str) -> "iter[str]":  # type: ignore[valid-type]
        """Yield what stands in each place before the point: the first one has all digits that are too many."""
        count = len(self.integers)
        digits = "" if whole == "0" else whole
        padded = [*digits[max(0, len(digits) - count) :]]
        missing = count - len(padded)
        marks = ["0" if mark == "0" else "" for mark in self.integers[:missing]] + padded
        if len(digits) > count and marks:
            marks[0] = digits[: len(digits) - count + 1]
        if self.grouped:
            marks = _grouped(marks)
        return iter(marks)


def _grouped(marks: list[str]) -> list[str]:
    """Put a comma before each third digit from the right."""
    found, seen = [], 0
    for mark in reversed(marks):
        text = ""
        for digit in reversed(mark):
            text = digit + ("," if seen and seen % 3 == 0 else "") + text
            seen += 1
        found.append(text)
    return found[::-1]


def sections_of(code: str) -> list[Section]:
    """Parse a code. Never fails: what has no meaning is a literal."""
    sections = [Section()]
    for match in _TOKEN.finditer(code[:1000]):
        if match["mark"] == ";":
            sections.append(Section())
        else:
            _take(sections[-1], match)
    for section in sections:
        _finish(section)
    if len(sections) == 4:
        sections[3].is_text = True
    return sections


def _take(section: Section, match: "re.Match[str]") -> None:
    kind, text = match.lastgroup or "mark", match[match.lastgroup or 0]
    if kind in ("quoted", "escaped"):
        section.tokens.append(("literal", text))
    elif kind == "space":
        section.tokens.append(("literal", " "))
    elif kind == "bracket":
        _take_bracket(section, text)
    elif kind == "general":
        section.is_general = True
        section.tokens.append(("general", text))
    elif kind in ("date", "ampm", "seconds"):
        section.is_date = True
        section.tokens.append((kind, text))
    elif kind == "exponent":
        section.exponent = text
        section.tokens.append((kind, text))
    elif kind == "mark":
        _take_mark(section, text)


def _take_bracket(section: Section, text: str) -> None:
    if condition := _CONDITION.match(text):
        section.condition = (condition[1], float(condition[2]) if condition[2].count(".") < 2 else 0.0)
    elif _ELAPSED.match(text):
        section.is_date = True
        section.tokens.append(("elapsed", text))
    elif text.startswith("$"):
        section.tokens.append(("literal", text[1:].rpartition("-")[0] if "-" in text else text[1:]))


def _take_mark(section: Section, text: str) -> None:
    if text in DIGITS:
        section.tokens.append(("digit", text))
    elif text == "@":
        section.is_text = True
    elif text == ".":
        section.tokens.append(("point", text))
    elif text == ",":
        section.tokens.append(("comma", text))
    elif text == "%":
        section.percents += 1
        section.tokens.append(("literal", text))
    elif text == "/":
        section.tokens.append(("slash", text))
    else:
        section.tokens.append(("literal", text))


def _finish(section: Section) -> None:
    """Count the places, and find out what commas and slashes mean."""
    if section.is_date:
        section.tokens = [
            ("literal", text) if kind in ("comma", "slash", "point") else (kind, text) for kind, text in section.tokens
        ]
        return
    kinds = [kind for kind, _ in section.tokens]
    last = max((place for place, kind in enumerate(kinds) if kind == "digit"), default=-1)
    if "slash" in kinds and last >= 0:
        _finish_fraction(section, kinds.index("slash"))
    section.thousands = sum(kind == "comma" for kind in kinds[last + 1 :])
    section.grouped = "comma" in kinds[: last + 1]
    point = kinds.index("point") if "point" in kinds else len(kinds)
    for place, (kind, text) in enumerate(section.tokens):
        if kind == "digit":
            (section.decimals if place > point else section.integers).append(text)
    first = next((place for place, kind in enumerate(kinds) if kind in ("digit", "general")), len(kinds))
    section.before = "".join(text for kind, text in section.tokens[:first] if kind == "literal")
    section.after = "".join(text for kind, text in section.tokens[max(last, first) + 1 :] if kind == "literal")


def _finish_fraction(section: Section, slash: int) -> None:
    """Split `# ?/?` into its parts: the places of the numerator are not places of the integer."""
    bottom = "".join(text for kind, text in section.tokens[slash + 1 :] if kind == "digit" or text.isdigit())
    top = slash
    while top and section.tokens[top - 1][0] == "digit":
        top -= 1
    section.denominator = bottom or "?"
    section.tokens = section.tokens[:top] or [("digit", "?")]
    if not any(kind == "digit" for kind, _ in section.tokens[:top]):
        section.tokens = [*section.tokens, ("digit", "")]


BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0_);("$"#,##0)',
    6: '"$"#,##0_);[Red]("$"#,##0)', 7: '"$"#,##0.00_);("$"#,##0.00)', 8: '"$"#,##0.00_);[Red]("$"#,##0.00)', 9: "0%",
    10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm",
    17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm",
    37: "#,##0_);(#,##0)", 38: "#,##0_);[Red](#,##0)", 39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);[Red](#,##0.00)",
    41: '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)', 42: '_("$"* #,##0_);_("$"* (#,##0);_("$"* "-"_);_(@_)',
    43: '_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)',
    44: '_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
    48: "##0.0E+0", 49: "@",
}  # fmt: skip
