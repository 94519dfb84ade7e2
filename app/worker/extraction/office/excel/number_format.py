"""Shows a number as its cell does: 25.6 %, 01234, 1,234.50 €, 26:30."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache

from app.worker.extraction.office.excel.date_format import show_date
from app.worker.extraction.office.excel.format_code import Section, sections_of

MAX_WHOLE = 1e15  # the digits of larger integers are not exact
MAX_PLACES = 30
MAX_ROUNDED = Decimal(10) ** 20
EXACT = Context(prec=60)  # the usual precision of 28 digits is too little for the largest numbers with 30 places
CACHED = 8192  # numbers of each format: dates and prices repeat


@cache
def formatter(code: str, date1904: bool = False) -> Callable[[float], str]:
    """Return the function that shows numbers in a number format."""
    sections = sections_of(code)
    first = sections[0]
    quick = first.plain_format() if len(sections) == 1 else ""

    @lru_cache(CACHED)
    def show(value: float) -> str:
        if quick and -MAX_WHOLE < value < MAX_WHOLE:
            return _quick(quick, value)
        if not math.isfinite(value):
            return str(value)
        section, number = _choose(sections, value)
        if section is None:
            return general(value)
        if section.is_date:
            return show_date(section, value, date1904) or general(value)
        return _show(section, number)

    return show


def _quick(quick: str, value: float) -> str:
    """Format a number like `1,234.50`. A half is rounded up in decimals, as Excel does, not in binary."""
    shown = quick.format(value * (1 + 2e-15))
    return shown[1:] if shown[0] == "-" and not shown.strip("-0.,") else shown


def general(value: float) -> str:
    """Show a number as the format General does, but long integers with all their digits."""
    if value == int(value) and abs(value) < MAX_WHOLE:
        return str(int(value))
    if 1e-4 <= abs(value) < 1e11:
        return f"{value:.10g}"
    mantissa, _, exponent = f"{value:.5e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}E{exponent[0]}{exponent[1:].zfill(2)}"


def _choose(sections: list[Section], value: float) -> tuple[Section | None, float]:
    """Choose the section for a value: by its condition, else for positive, negative and zero. It shows the number."""
    numeric = [section for section in sections if not section.is_text]
    conditional = [section for section in numeric if section.condition]
    if conditional:
        chosen = next((each for each in numeric if each.condition is None or each.holds(value)), None)
        return chosen, abs(value) if chosen and chosen is not numeric[0] else value
    if not numeric:
        return None, value
    if value < 0 and len(numeric) > 1:
        return numeric[1], -value
    return (numeric[2], 0.0) if value == 0 and len(numeric) > 2 else (numeric[0], value)


def _show(section: Section, value: float) -> str:
    if section.is_general:
        return section.before + general(value) + section.after
    if not section.has_digits:
        return ("-" if value < 0 else "") + section.literal()
    scaled = _exact(value) * 100**section.percents / 1000**section.thousands
    negative, scaled = scaled < 0, abs(scaled)
    if section.denominator:
        shown = _fraction(section, scaled)
    elif section.exponent:
        shown = _scientific(section, scaled)
    else:
        shown = _decimal(section, scaled)
    return ("-" if negative and any(digit in "123456789" for digit in shown) else "") + shown.strip()


def _exact(value: float) -> Decimal:
    return Decimal(f"{value:.15g}")


def _decimal(section: Section, value: Decimal) -> str:
    places = min(len(section.decimals), MAX_PLACES)
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, EXACT) if value < MAX_ROUNDED else value
    whole, _, digits = f"{rounded:f}".partition(".")
    digits = digits[:places].ljust(places, "0")
    while digits and section.decimals[len(digits) - 1] != "0" and digits[-1] == "0":
        digits = digits[:-1]
    return section.fill(whole, digits)


def _scientific(section: Section, value: Decimal) -> str:
    places = min(len(section.decimals), MAX_PLACES)
    mantissa, _, exponent = f"{value:.{places}E}".partition("E")
    width = sum(mark in "0?#" for mark in section.exponent)
    sign = "-" if exponent.startswith("-") else "+" if "+" in section.exponent else ""
    return f"{section.before}{mantissa}E{sign}{exponent[1:].zfill(width)}{section.after}"


def _fraction(section: Section, value: Decimal) -> str:
    whole = int(value) if section.integers else 0
    rest = Fraction(value - whole)
    if section.denominator.isdigit() and int(section.denominator):
        bottom = int(section.denominator)
        top = round(rest * bottom)
    else:
        nearest = rest.limit_denominator(10 ** min(len(section.denominator), 4) - 1)
        top, bottom = nearest.numerator, nearest.denominator
    if section.integers and top == bottom:
        whole, top = whole + 1, 0
    shown = f"{top}/{bottom}" if top or not section.integers else ""
    integer = str(whole) if section.integers and (whole or not top) else ""
    return f"{section.before}{' '.join(filter(None, (integer, shown)))}{section.after}"
