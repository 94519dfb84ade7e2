"""The colours and fonts of the picture, light and dark: CSS rules that apply below its root element only."""

from app.domain.transitions import ENDS_OF_RUN, FAILED, BatchState, leased_kinds, reported_kinds

LIGHT = {
    "card": "#ffffff", "edge": "#d8dee9", "ink": "#1e293b", "soft": "#64748b", "action": "#2563eb",
    "action-fill": "#eff5ff", "event": "#64748b", "way": "#c026d3", "plain-fill": "#f4f6f9", "plain": "#94a3b8",
    "work-fill": "#e6f7f9", "work": "#0891b2", "hold-fill": "#fff6dd", "hold": "#d18b06",
    "good-fill": "#e7f8ed", "good": "#16a34a", "bad-fill": "#fdeceb", "bad": "#dc3b32",
}  # fmt: skip
DARK = {
    "card": "#0f172a", "edge": "#2b3850", "ink": "#e8edf5", "soft": "#9fb0c8", "action": "#7db0ff",
    "action-fill": "#172a4d", "event": "#9fb0c8", "way": "#f08cff", "plain-fill": "#1c2740", "plain": "#64748b",
    "work-fill": "#0b3440", "work": "#22b8d4", "hold-fill": "#3a2c0b", "hold": "#e2a52b",
    "good-fill": "#0e3420", "good": "#35c46e", "bad-fill": "#421a1d", "bad": "#f3716a",
}  # fmt: skip
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
RULES = """
.il text{font:500 14px FONT;text-anchor:middle;dominant-baseline:central;fill:var(--ink)}
.il .card{fill:var(--card);stroke:var(--edge)}
.il .back{fill:var(--card)}
.il .box{stroke-width:1.75}
.il .state text{font-size:15px;font-weight:700}
.il .current .box{stroke-width:4}
.il .line{fill:none;stroke-width:1.75;stroke-linejoin:round}
.il .action .line{stroke:var(--action)} .il .action .head{fill:var(--action)}
.il .event .line{stroke:var(--event);stroke-dasharray:5 4} .il .event .head{fill:var(--event)}
.il .pill.action{fill:var(--action-fill);stroke:var(--action)} .il text.action{fill:var(--action)}
.il .pill.event{fill:var(--card);stroke:var(--event);stroke-dasharray:3 3} .il text.event{fill:var(--event)}
.il .start{fill:var(--ink)} .il .begin .line{stroke:var(--ink)} .il .begin .head{fill:var(--ink)}
.il .visited .line{stroke:var(--way);stroke-width:3.5} .il .visited .head{fill:var(--way)}
.il .legend text{fill:var(--soft);text-anchor:start;font-size:13px}
""".replace("FONT", MONO)


def tone(state: BatchState) -> str:
    """Choose the colour of a state by its meaning: work, hold, good, bad or plain."""
    if leased_kinds(state):
        return "work"
    if reported_kinds(state):
        return "hold"
    if state not in ENDS_OF_RUN:
        return "plain"
    return "bad" if state is FAILED else "good"


def _style() -> str:
    light, dark = (";".join(f"--{name}:{value}" for name, value in p.items()) for p in (LIGHT, DARK))
    tones = "".join(
        f".il .{tone} .box{{fill:var(--{tone}-fill);stroke:var(--{tone})}}\n"
        for tone in ("plain", "work", "hold", "good", "bad")
    )
    return (
        f".il{{{light}}}\n@media (prefers-color-scheme:dark){{.il{{{dark}}}}}\n"
        f':root[data-theme="light"] .il{{{light}}}\n:root[data-theme="dark"] .il{{{dark}}}{RULES}{tones}'
    )


STYLE = _style()
