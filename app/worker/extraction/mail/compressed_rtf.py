"""Unpacks the compressed RTF of Outlook's messages ([MS-OXRTFCP])."""

RING_BYTES = 4096
MAX_BYTES = 64 * 1024 * 1024
# With this the ring is filled at the beginning: what most RTF files contain.
PREFILL = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


def decompressed(packed: bytes) -> bytes:
    """Return the RTF. A stream that was not compressed is returned without its header."""
    if packed[8:12] == b"MELA":
        return packed[16:]
    ring = bytearray(PREFILL.ljust(RING_BYTES, b"\0"))
    write, place, found = len(PREFILL), 16, bytearray()
    while place < len(packed) and len(found) < MAX_BYTES:
        flags, place = packed[place], place + 1
        for bit in range(8):
            if not flags >> bit & 1:
                piece, place = packed[place : place + 1], place + 1
            else:
                reference = int.from_bytes(packed[place : place + 2], "big")
                offset, length, place = reference >> 4, (reference & 15) + 2, place + 2
                if offset == write % RING_BYTES:  # the end
                    return bytes(found)
                piece = _copied(ring, offset, length, write)
            for byte in piece:
                ring[write % RING_BYTES] = byte
                write += 1
            found += piece
            if place >= len(packed):
                break
    return bytes(found)


def _copied(ring: bytearray, offset: int, length: int, write: int) -> bytes:
    """Copy from the ring; a copy may reach into what it is writing."""
    piece = bytearray()
    distance = (write - offset) % RING_BYTES
    for place in range(length):
        piece.append(piece[place - distance] if place >= distance else ring[(offset + place) % RING_BYTES])
    return bytes(piece)
