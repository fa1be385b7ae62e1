"""PDFs to attach: printed by the browser, and one as programs of the nineties wrote it."""

from __future__ import annotations

from playwright.sync_api import Browser


def pages_as_pdf(browser: Browser, *pages: str) -> bytes:
    """Have Chromium print pages with these texts; without any they have nothing but a picture."""
    printer = browser.new_page()
    shown = [
        f"<p>{page}</p>" if page else '<svg width="90" height="90"><rect width="90" height="90"/></svg>'
        for page in pages
    ]
    printer.set_content('<div style="break-after: page"></div>'.join(shown))
    printed = printer.pdf()
    printer.close()
    return printed


def gbk_pdf(text: str) -> bytes:
    """Return a PDF whose font is known by its encoding only, as programs of the nineties wrote it."""
    drawn = f"BT /F 24 Tf 50 100 Td <{text.encode('gbk').hex()}> Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
        f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        "<< /Type /Font /Subtype /Type0 /BaseFont /STSong /Encoding /GBK-EUC-H /DescendantFonts [6 0 R] >>",
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong /FontDescriptor 7 0 R /CIDSystemInfo 8 0 R >>",
        "<< /Type /FontDescriptor /FontName /STSong /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /StemV 80 >>",
        "<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >>",
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    rows = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(objects) + 1
    table = f"xref\n0 {count}\n0000000000 65535 f \n{rows}"
    end = f"{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + end.encode()
