"""Detects the encoding of bytes that declare none and are not UTF-8: by chardet, with rules of our own around it.

A few letters are too little for statistics: chardet takes Italian for Cyrillic, and some French for Romanian.
"""

import re

import chardet

WESTERN = ["cp1252", "iso8859-1"]
CENTRAL = ["cp1250", "iso8859-2", "cp1254", "iso8859-9", "cp1257"]
OTHER_SCRIPTS = [
    "cp1251", "koi8-r", "koi8-u", "iso8859-5", "cp866", "cp1253", "iso8859-7", "cp1255", "cp1256", "cp874", "tis-620",
    "cp932", "shift_jis", "euc-jp", "gb18030", "big5", "cp949", "euc-kr",
]  # fmt: skip
DECODED_AS = {  # the superset of each, which also has the characters that real files of this name contain
    "iso8859-1": "cp1252", "iso8859-9": "cp1254", "tis-620": "cp874", "euc_kr": "cp949", "shift_jis": "cp932",
    "shift_jis_2004": "cp932", "euc_jis_2004": "euc_jp",
}  # fmt: skip
WESTERN_LETTERS = (  # of French, German, Spanish, Portuguese, Italian, Danish and Norwegian, Swedish and Finnish, Dutch
    "àâæçéèêëîïôœùûü", "äöüßé", "áéíñóúü", "ãõáâàçéêíóôú", "àèéìòù", "æøåé", "åäöé", "ëïéèöü",
)  # fmt: skip
MIN_BYTES = 16  # beyond ASCII: with fewer, letters that one Western language explains are Windows-1252
_MIXED = re.compile(r"[A-Za-z][^\W\d_A-Za-z]|[^\W\d_A-Za-z][A-Za-z]")  # a Latin letter beside another one
_SIGN_IN_WORD = re.compile(r"[a-z][¹²³ºª¿¡¼½¾£¤¥¦¨¯´¸±¶][a-z]", re.I)


def detect(content: bytes) -> str:
    """Return the most likely encoding, as Python names it."""
    high = len(content) - len(content.translate(None, bytes(range(128, 256))))
    if high < MIN_BYTES and _is_western(content.decode("cp1252", "replace")):
        return _western(content)
    found = _chardet(content, WESTERN + CENTRAL + OTHER_SCRIPTS)
    if found in OTHER_SCRIPTS and len(_MIXED.findall(content.decode(found, "replace"))) * 4 > high:
        found = _chardet(content, WESTERN + CENTRAL)  # no language writes Latin and Cyrillic letters in one word
    if found == "cp1250" and _is_latin_2(content):
        return "iso8859-2"
    return _western(content) if found == "cp1252" else found


def _chardet(content: bytes, candidates: list[str]) -> str:
    found = chardet.detect(content, compat_names=False, include_encodings=candidates)["encoding"] or "cp1252"
    return DECODED_AS.get(found.lower(), found.lower())


def _is_western(text: str) -> bool:
    """Whether one Western language has all these letters, and no sign is inside a word."""
    letters = {letter for letter in text.lower() if letter.isalpha() and not letter.isascii()} - set("ªº")
    return not _SIGN_IN_WORD.search(text) and any(letters <= set(alphabet) for alphabet in WESTERN_LETTERS)


def _western(content: bytes) -> str:
    """Tell ISO-8859-15, with its euro sign at 0xA4, from Windows-1252, with its quotation marks below 0xA0."""
    has_quotes = any(byte in content for byte in range(0x80, 0xA0))
    return "iso8859-15" if b"\xa4" in content and not has_quotes else "cp1252"


def _is_latin_2(content: bytes) -> bool:
    """Tell ISO-8859-2 from Windows-1250, which has signs where ISO-8859-2 has some of its letters."""
    letters = sum(map(content.count, (bytes([byte]) for byte in b"\xa1\xa6\xa9\xac\xae\xb1\xb6\xbb\xbe")))
    others = sum(content.count(bytes([byte])) for byte in (*range(0x80, 0xA0), 0xB9))
    return letters > others
