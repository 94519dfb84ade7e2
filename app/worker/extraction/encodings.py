"""Decodes bytes of any encoding: as the file declares, else as UTF-8, else by detection from the bytes."""

import codecs
import re

import webencodings

MARKS = [  # the longer ones first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
MIN_WIDE_CHARACTERS = 16  # of a script that is not Latin: fewer make sense by chance
SAMPLE_BYTES = 64 * 1024
# A file is still UTF-8 if it has one wrong sequence for so many sound ones: no other encoding forms those by chance.
SOUND_FOR_EACH_WRONG = 5
WRONG_SHARE = 0.02  # of the bytes beyond ASCII, that may be undefined in the declared encoding
WESTERN = {"cp1252", "ascii", "iso8859-1"}
SUPERSETS = {"gbk": "gb18030", "gb2312": "gb18030", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "tis-620": "cp874"}
_SOUND = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def charset_of(parameters: str) -> str | None:
    """Read `charset` from the parameters of a media type; None if it is absent or unknown."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return encoding_of(value.strip().strip("\"'"))
    return None


def encoding_of(charset: str) -> str | None:
    """Return Python's name of the encoding that browsers use for a label: `iso-8859-1` means Windows-1252.

    None if the label is unknown, or not an encoding of text (as base64).
    """
    known = webencodings.lookup(charset)
    try:
        found = codecs.lookup(known.codec_info.name if known else charset).name
        "a".encode(found)
    except (LookupError, ValueError):
        return None
    return SUPERSETS.get(found, found)


def decode_text(content: bytes, charset: str | None = None) -> tuple[str, str]:
    """Decode bytes; return the text and the encoding. Bytes without a meaning become U+FFFD.

    The order: byte order mark, charset, UTF-16 without a mark, ISO-2022-JP, UTF-8, detection, Windows-1252.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    for likely in (_declared(content, charset), wide_encoding(content[:SAMPLE_BYTES]), _japanese(content)):
        if likely:
            return content.decode(likely, "replace"), likely
    if is_utf8(content):
        return content.decode("utf-8", "replace"), "utf-8"
    from app.worker.extraction.detection import detect  # slow to import, and few files need it

    detected = detect(content[: 4 * SAMPLE_BYTES])
    return content.decode(detected, "replace"), detected


def is_utf8(content: bytes, sound_for_each_wrong: int = SOUND_FOR_EACH_WRONG) -> bool:
    """Whether it is UTF-8, perhaps with a few damaged characters."""
    try:
        content.decode("utf-8")
        return True
    except UnicodeDecodeError:
        sound = len(_SOUND.findall(content))
        return sound > 0 and content.decode("utf-8", "replace").count("\ufffd") * sound_for_each_wrong <= sound


def wide_encoding(sample: bytes) -> str | None:
    """Recognise UTF-16 without a byte order mark: it has zero bytes, and makes sense as text."""
    if b"\0" not in sample or len(sample) < 4:
        return None
    half = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    for encoding, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > half * 0.4 and others < half * 0.02:
            return encoding  # Latin letters: every second byte is zero
        if half < MIN_WIDE_CHARACTERS:
            continue
        text = sample[: len(sample) // 2 * 2].decode(encoding, "replace")
        spaces = sum(map(text.count, " \n\r\t"))
        sound = sum(letter.isprintable() and letter != "\ufffd" for letter in text) + sum(map(text.count, "\n\r\t"))
        if sound > len(text) * 0.97 and (_blocks(text) <= 4 or spaces > len(text) * 0.05):
            return encoding
    return None


def _blocks(text: str) -> int:
    """Count the groups of 256 characters that a text uses. One language uses few; bytes by chance use many."""
    return len({ord(letter) >> 8 for letter in text})


def _declared(content: bytes, charset: str | None) -> str | None:
    """Return the declared encoding if the bytes agree with it."""
    if charset is None or (charset in WESTERN and not content.isascii() and is_utf8(content)):
        return None
    try:
        content.decode(charset)
        return charset
    except UnicodeError:
        beyond_ascii = len(content) - len(content.translate(None, bytes(range(128, 256))))
        wrong = content.decode(charset, "replace").count("\ufffd")
    sound = is_utf8(content, 1) if charset == "utf-8" else wrong <= max(1, beyond_ascii * WRONG_SHARE)
    return charset if sound else None


def _japanese(content: bytes) -> str | None:
    """Recognise ISO-2022-JP, which has ASCII bytes only and escape sequences between them."""
    return "iso2022_jp" if b"\x1b$" in content[:SAMPLE_BYTES] and content.isascii() else None
