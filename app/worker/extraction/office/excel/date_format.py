"""Shows a date or a time as its cell does. Excel counts days since 1900, and in some files since 1904."""

from datetime import datetime, timedelta

from app.worker.extraction.office.excel.format_code import Section

DAY = 24 * 3600
MAX_SERIAL = 2_958_466  # the first day of the year 10000
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def show_date(section: Section, serial: float, date1904: bool = False) -> str:
    """Show a number of days; '' if it is not a date that Excel shows."""
    if not 0 <= serial < MAX_SERIAL:
        return ""
    shows_fractions = any(kind == "seconds" for kind, _ in section.tokens)
    seconds = round(serial * DAY, 3 if shows_fractions else 0)
    moment = _moment(seconds, date1904)
    half_days = any(kind == "ampm" for kind, _ in section.tokens)
    text = ""
    for place, (kind, code) in enumerate(section.tokens):
        if kind == "date":
            minutes = code.lower() in ("m", "mm") and _is_minute(section.tokens, place)
            text += _part(code.lower(), moment, minutes, half_days)
        elif kind == "elapsed":
            unit = {"h": 3600, "m": 60, "s": 1}[code[0].lower()]
            text += str(int(seconds // unit)).zfill(len(code))
        elif kind == "seconds":
            places = len(code.partition(".")[2])
            text += f"{moment.second:0{len(code.partition('.')[0])}}.{moment.microsecond:06}"[: places - 6 or None]
        elif kind == "ampm":
            text += ("AM" if moment.hour < 12 else "PM")[: 1 if code[1:2] == "/" else 2]
        elif kind == "literal":
            text += code
        elif kind == "digit":
            text += "0"
    return text.strip()


def _moment(seconds: float, date1904: bool) -> datetime:
    if date1904:
        return datetime(1904, 1, 1) + timedelta(seconds=seconds)
    # Excel believes that there was a 29 February 1900: from then on its numbers are one too high.
    return datetime(1899, 12, 31 if seconds < 60 * DAY else 30) + timedelta(seconds=seconds)


def _is_minute(tokens: list[tuple[str, str]], place: int) -> bool:
    """Whether an m means minutes: after hours, or before seconds."""
    times = [(kind, code) for kind, code in tokens[:place] if kind in ("date", "elapsed", "seconds")]
    after = [(kind, code) for kind, code in tokens[place + 1 :] if kind in ("date", "elapsed", "seconds")]
    return bool((times and times[-1][1][0] in "hH") or (after and after[0][1][0] in "sS"))


def _part(code: str, moment: datetime, minutes: bool, half_days: bool) -> str:
    letter, width = code[0], len(code)
    if letter in "ye":
        return f"{moment.year:04}" if width > 2 or letter == "e" else f"{moment.year % 100:02}"
    if letter == "h":
        return str((moment.hour % 12 or 12) if half_days else moment.hour).zfill(min(width, 2))
    if letter == "s":
        return str(moment.second).zfill(min(width, 2))
    if minutes:
        return str(moment.minute).zfill(width)
    number, names = (
        (moment.month, MONTHS[moment.month - 1]) if letter == "m" else (moment.day, WEEKDAYS[moment.weekday()])
    )
    if width <= 2:
        return str(number).zfill(width)
    return names[:1] if width == 5 else names[:3] if width == 3 else names
