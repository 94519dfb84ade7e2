"""Removes what is not text from the text of any kind of document: control characters, escape sequences."""

import re

# Of terminals, as logs contain them: colours, cursor movements, titles.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_REMOVED = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0xFEFF, 0xFFFE, 0xFFFF, *range(0xFDD0, 0xFDF0)]),
    ord("\t"): "\t", ord("\n"): "\n", 0x0B: "\n", 0x0C: "\n", 0x85: "\n", 0x2028: "\n", 0x2029: "\n",
}  # fmt: skip


def without_controls(text: str) -> str:
    """Return a text with `\\n` at the end of each line, and without control characters other than tabs."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if _is_clean(text) else text.translate(_REMOVED)


def _is_clean(text: str) -> bool:
    return not _SUSPECT.search(text)


_SUSPECT = re.compile("[" + "".join(re.escape(chr(code)) for code in _REMOVED if chr(code) not in "\t\n") + "]")
