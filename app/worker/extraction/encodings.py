"""Decodes bytes of any encoding: as the file declares, else as UTF-8, else by a guess from the bytes."""

import codecs

from app.worker.extraction.kinds import SAMPLE_BYTES, wide_encoding

MARKS = [  # the longer ones first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
RARE = [  # never guessed
    "iso8859_10",
    "iso8859_13",
    "iso8859_14",
    "iso8859_16",
    "hp_roman8",
    "mac_latin2",
    "mac_iceland",
    "mac_turkish",
]
MIN_BYTES_TO_GUESS = 16  # bytes beyond ASCII: with fewer, Windows-1252 is more likely than any guess


def charset_of(parameters: str) -> str | None:
    """Read `charset` from the parameters of a media type; None if it is absent or unknown."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return encoding_of(value.strip().strip("\"'"))
    return None


def encoding_of(charset: str) -> str | None:
    """Return Python's name of an encoding; None if it is unknown, or not an encoding of text (as base64)."""
    try:
        found = codecs.lookup(charset)
        "a".encode(found.name)
        return found.name
    except (LookupError, ValueError):
        return None


def decode_text(content: bytes, charset: str | None = None) -> tuple[str, str]:
    """Decode bytes; return the text and the encoding.

    The order: byte order mark, charset, UTF-16 without a mark, UTF-8, a guess, Windows-1252, Latin-1.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    for likely in filter(None, (charset, wide_encoding(content[:SAMPLE_BYTES]), "utf-8")):
        try:
            return content.decode(likely), likely
        except UnicodeDecodeError:
            continue
    for guess in filter(None, (_guess(content), "cp1252")):
        try:
            return content.decode(guess), guess
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1"), "latin-1"


def _guess(content: bytes) -> str | None:
    sample = content[: 4 * SAMPLE_BYTES]
    if sum(byte > 127 for byte in sample) < MIN_BYTES_TO_GUESS:
        return None
    from charset_normalizer import from_bytes  # slow to import, and few files need it

    found = from_bytes(sample, cp_exclusion=RARE).best()
    if found is None or "cp1252" in found.could_be_from_charset:
        return None
    return encoding_of(found.encoding)
