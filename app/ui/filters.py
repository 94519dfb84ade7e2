"""How figures look on a page: amounts, money, spans, shares, segments of a bar. Ages follow the database's clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from unicodedata import category

from flask import current_app
from markupsafe import Markup

from app.domain.picture.style import tone
from app.ui.waiting import what_follows
from app.web.services import services

CURRENCY = "INTERLOCK_CURRENCY"  # in the configuration of the Flask application
RUNS_OFFERED = 50
MINUS = "\N{MINUS SIGN}"
LEAST_WIDTH = 1.0  # percent: one failed task of a million is seen
_INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Cs"}  # control, format, separators of lines and paragraphs, surrogates
_LIMITS = {
    "max_attempts": "Attempts of a task",
    "lease_seconds": "Seconds of a lease",
    "max_failed_tasks": "Failed tasks, beyond which the batch fails",
    "priority": "Priority among batches",
    "staging_timeout_seconds": "Seconds without progress, after which staging fails",
    "max_cost": "Cost, at which it pauses",
    "max_tokens": "Tokens, at which it pauses",
    "max_failure_rate": "Share of failures, at which it pauses",
    "pause_after_outage_seconds": "Seconds of an outage, after which it pauses",
    "part_characters": "Characters of a part, where a document is split",
    "overlap_characters": "Characters that a part repeats at most",
    "keep_runs": "Runs that are kept",
}
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Segment(NamedTuple):
    """A part of a bar, in percent of its width."""

    status: str
    amount: int
    x: float
    width: float


def amount(number: float) -> str:
    """Write a whole number with separated thousands."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(number: float, noun: str) -> str:
    """Write an amount with its noun in the singular or the plural: "1 call", "2 calls"."""
    return f"{amount(number)} {noun if number == 1 else noun + 's'}"


def spent(usage: Mapping[str, Any]) -> str:
    """Write the cost of a usage, and how many calls it does not know the cost of."""
    unknown = usage.get("unpriced_calls", 0)
    return money(usage["cost"]) + (f" (unknown for {unknown:,} call{'' if unknown == 1 else 's'})" if unknown else "")


def money(cost: float | None) -> str:
    """Write a cost with two decimals, or "<0.01" for less than that, in the currency of the settings."""
    if cost is None:
        return "unknown"
    return _in_currency(f"{cost:,.2f}" if cost == 0 or cost >= 0.005 else "<0.01")


def change(amount: float) -> str:
    """Write by how much a number has changed, with its sign."""
    return f"{'+' if amount >= 0 else MINUS}{abs(amount):,.0f}"


def change_of_cost(cost: float) -> str:
    """Write by how much a cost has changed, with its sign."""
    return "same cost" if round(cost, 9) == 0 else f"{'+' if cost > 0 else MINUS}{money(abs(cost))}"


def in_words(name: str) -> str:
    """Say what a limit does; the name of one that has no words here."""
    return _LIMITS.get(name, name)


def price(cost: float) -> str:
    """Write the price of one call, which may be a small part of a cent, with two significant digits."""
    return _in_currency(f"{cost:.2f}" if cost >= 0.1 or cost == 0 else f"{cost:.2g}" if cost >= 1e-4 else "<0.0001")


def _in_currency(amount: str) -> str:
    currency = current_app.config[CURRENCY]
    return f"{amount}\N{NARROW NO-BREAK SPACE}{currency}" if currency else amount


def estimated(estimate: Mapping[str, Any]) -> str:
    """Write an estimated cost, with its range where that says more."""
    low, high = (money(each) for each in estimate["cost_range"] or (None, None))
    likely = money(estimate["cost"])
    return likely if low == high else f"{likely} ({low} to {high})"


def visible(name: str | None) -> Markup:
    """Write a name that somebody else chose: apart from the text around it, with its invisible characters named.

    A name with a character that turns the direction of writing would show as another name.
    """
    return Markup("<bdi>{}</bdi>").format(plainly(name))


def plainly(name: str | None) -> str:
    """Write a name with its invisible characters named, for places that have no markup."""
    return "".join(f"[U+{ord(c):04X}]" if category(c) in _INVISIBLE else c for c in name or "")


def span(seconds: float | None) -> str:
    """Write a time span in its two largest units."""
    if seconds is None:
        return ""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in _SPANS:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def age(at: str) -> str:
    """Write how long ago a time (RFC 3339) was."""
    return span(max(0.0, (services().clock.now() - datetime.fromisoformat(at)).total_seconds()))


def ago(at: str) -> str:
    """Write how long ago a time (RFC 3339) was, in its largest unit. A script on the page writes it again and again."""
    seconds = (services().clock.now() - datetime.fromisoformat(at)).total_seconds()
    largest = span(max(0.0, seconds)).split()
    return f"{' '.join(largest[:2])} ago" if seconds >= 1 else "now"


def at_time(seconds: float) -> str:
    """Write a time, in seconds from 1970, as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rate(a_second: float) -> str:
    """Write a rate by the second, or by the minute if it is slow."""
    if a_second >= 1 or a_second == 0:
        return f"{a_second:.0f} / s" if a_second >= 10 or a_second == 0 else f"{a_second:.1f} / s"
    return f"{a_second * 60:.1f} / min"


def latency(milliseconds: float) -> str:
    """Write how long a call took: in milliseconds, or in seconds if it was slow."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def share(part: float) -> str:
    """Write a share in percent."""
    return f"{part * 100:.1f} %"


def counts_of(batch: Mapping[str, Any]) -> dict[str, int]:
    """Count the tasks of the phase that a batch is in: those of the analysis, or of the staging before it."""
    analysis, staging = batch["progress"]["analysis"], batch["progress"]["staging"]
    if analysis["total"]:
        return {name: analysis[name] for name in ("completed", "failed", "leased", "queued")}
    is_open = staging["total"] - staging["completed"] - staging["failed"]
    return {"completed": staging["completed"], "failed": staging["failed"], "queued": is_open}


def runs_of(batch: Mapping[str, Any]) -> list[int]:
    """List the runs to choose from, newest first; an older one is named by its number in the address."""
    return list(range(batch["run"], max(0, batch["run"] - RUNS_OFFERED), -1))


def percent(batch: Mapping[str, Any]) -> int:
    """Give the share of the phase's tasks that have ended, in whole percent; 100 only when all have."""
    counts = counts_of(batch)
    ended, total = counts["completed"] + counts["failed"], sum(counts.values())
    return ended * 100 // total if total else 0


def segments(batch: Mapping[str, Any]) -> list[Segment]:
    """Divide a bar among the statuses of a batch's tasks; no segment is too small to be seen."""
    counts = {status: count for status, count in counts_of(batch).items() if count}
    total = sum(counts.values())
    widths = {status: max(LEAST_WIDTH, count * 100 / total) for status, count in counts.items()}
    scale, x, found = 100 / (sum(widths.values()) or 1), 0.0, []
    for status, width in widths.items():
        found.append(Segment(status, counts[status], round(x, 2), round(width * scale, 2)))
        x += width * scale
    return found


FILTERS = (
    age, ago, amount, at_time, change, change_of_cost, counted, counts_of, estimated, in_words, latency, money, percent,
    plainly, price, rate, runs_of, segments, share, span, spent, tone, visible, what_follows,
)  # fmt: skip
