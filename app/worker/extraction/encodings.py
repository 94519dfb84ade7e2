"""Bytes to text, whatever the encoding: what the file says of itself, then UTF-8, then what it looks like."""

import codecs

from app.worker.extraction.kinds import SAMPLE_BYTES, wide_encoding

MARKS = [  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
RARE = ["iso8859_10", "iso8859_13", "iso8859_14", "iso8859_16", "hp_roman8", "mac_latin2", "mac_iceland", "mac_turkish"]
FEWEST_TO_GUESS = 16  # bytes beyond ASCII: a guess over fewer is worth less than "Windows-1252"


def charset_of(parameters: str) -> str | None:
    """Read `charset` from the parameters of a media type, if it names an encoding that is known here."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return known(value.strip().strip("\"'"))
    return None


def known(charset: str) -> str | None:
    """Name an encoding as Python does; None where it is none, or makes no text of bytes (as base64)."""
    try:
        found = codecs.lookup(charset)
        "a".encode(found.name)
        return found.name
    except (LookupError, ValueError):
        return None


def decoded(content: bytes, charset: str | None = None) -> tuple[str, str]:
    """Decode: by the byte order mark, the charset, as UTF-8, by its looks, or else as Windows-1252 or Latin-1.

    Returns the text and the encoding.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    for likely in filter(None, (charset, wide_encoding(content[:SAMPLE_BYTES]), "utf-8")):
        try:
            return content.decode(likely), likely
        except UnicodeDecodeError:
            continue
    for guess in filter(None, (_looks_like(content), "cp1252")):
        try:
            return content.decode(guess), guess
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1"), "latin-1"


def _looks_like(content: bytes) -> str | None:
    sample = content[: 4 * SAMPLE_BYTES]
    if sum(byte > 127 for byte in sample) < FEWEST_TO_GUESS:
        return None
    from charset_normalizer import from_bytes  # imported late: few files need it

    found = from_bytes(sample, cp_exclusion=RARE).best()
    if found is None or "cp1252" in found.could_be_from_charset:
        return None
    return known(found.encoding)
