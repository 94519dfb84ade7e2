"""Writes numbers as lists show them: 3, iii, C, 03, 3rd."""

ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
MAX_ROMAN = 32_767


def numeral(number: int, style: str) -> str:
    """Write a number in a style that Word names; decimal for those that are not known here."""
    if style in ("none", "bullet"):
        return ""
    if style in ("lowerRoman", "upperRoman") and 0 < number <= MAX_ROMAN:
        return _roman(number) if style == "lowerRoman" else _roman(number).upper()
    if style in ("lowerLetter", "upperLetter") and number > 0:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 % 100 + 1)  # after z comes aa, then bb
        return letter if style == "lowerLetter" else letter.upper()
    if style == "decimalZero":
        return f"{number:02}"
    if style == "ordinal":
        return f"{number}{_ordinal_ending(number)}"
    return str(number)


def _roman(number: int) -> str:
    text = ""
    for value, letters in ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def _ordinal_ending(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
