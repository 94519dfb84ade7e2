"""Reads subtitles and transcripts (.srt .vtt): what is spoken, without times."""

import re

from app.worker.extraction.encodings import decode_text
from app.worker.extraction.found import Found, TextLimit

_TIMES = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->.*$", re.M)
_SPEAKER = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]{1,200})>")
_TAG = re.compile(r"</?(?:[bicu]|v|lang|ruby|rt|font|c\.[^>]*|\d[\d:.]*)(?:[\s.][^>]*)?>|\{\\[^}]*\}")
_NO_SPEECH = ("WEBVTT", "NOTE", "STYLE", "REGION")


def read(content: bytes, charset: str | None, limit: TextLimit) -> Found:
    """Read the lines that are spoken; a line that follows as it was before is left out."""
    raw, encoding = decode_text(content, charset)
    lines: list[str] = []
    cues = 0
    for block in re.split(r"\n\s*\n", raw.replace("\r\n", "\n").replace("\r", "\n").strip("\ufeff\n ")):
        times = _TIMES.search(block)
        if times is None:
            lines += [] if block.startswith(_NO_SPEECH) else _spoken(block)
            continue
        cues += 1
        lines += [line for line in _spoken(block[times.end() :]) if lines[-1:] != [line]]
    return Found(limit.take("\n".join(lines)), {"encoding": encoding, "cues": cues})


def _spoken(block: str) -> list[str]:
    marked = _SPEAKER.sub(lambda match: f"{match[1].strip()}: ", block)
    return [line for each in _TAG.sub("", marked).split("\n") if (line := " ".join(each.split()))]
