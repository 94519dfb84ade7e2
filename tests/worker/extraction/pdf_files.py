"""Writes PDF files object by object, for what reportlab does not write."""

from collections.abc import Sequence


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """Write a PDF of these objects; the first one is its catalog."""
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    entries = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, entries)
    return body + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(body))


def stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def pdf_of_glyphs(glyphs: Sequence[str]) -> bytes:
    """Write a page of one line. Each glyph, from left to right, stands for one or more characters."""
    codes = range(65, 65 + len(glyphs))
    pairs = b" ".join(
        b"<%02X> <%s>" % (code, text.encode("utf-16-be").hex().encode())
        for code, text in zip(codes, glyphs, strict=True)
    )
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        b"1 begincodespacerange <00> <FF> endcodespacerange %d beginbfchar %s endbfchar endcmap end end"
    )
    font = (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [0.001 0 0 0.001 0 0] "
        b"/CharProcs << %s >> /Encoding << /Type /Encoding /Differences [65 %s] >> /FirstChar 65 /LastChar %d "
        b"/Widths [%s] /ToUnicode 7 0 R /Resources << >> >>"
    )
    return raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>",
            stream(b"BT /F1 20 Tf 100 700 Td <%s> Tj ET" % b"".join(b"%02X" % code for code in codes)),
            font
            % (
                b" ".join(b"/g%d 6 0 R" % code for code in codes),
                b" ".join(b"/g%d" % code for code in codes),
                codes[-1],
                b" ".join(b"600" for _ in codes),
            ),
            stream(b"600 0 0 0 600 600 d1 0 0 500 500 re f"),
            stream(cmap % (len(glyphs), pairs)),
        ]
    )
