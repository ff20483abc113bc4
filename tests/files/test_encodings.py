"""Texts in other encodings than UTF-8: read where only one of them can be meant."""

import pytest

from kis_bench.files.encodings import decode_code_page


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("červený drak", "cp1250"),
        ("żółta łódź", "cp1250"),
        ("café crème, garçon", "cp1252"),
        ("ein Füßchen", "cp1252"),
        ("señor, qué", "cp1252"),
        ("\u201cred\u201d \u2013 don\u2019t\u2026", "cp1252"),
        ("l\u2019eau", "cp1252"),
    ],
)
def test_words_of_a_language_are_read(text, encoding):
    content = text.encode(encoding)
    found = decode_code_page(b"one red kite\n" + content)
    assert found is not None
    assert found[0] == f"one red kite\n{text}"


@pytest.mark.parametrize(
    "content",
    [
        "č".encode("cp1250"),  # or è in cp1252
        "niño".encode("cp1252"),  # or nińo
        "zöld szőlő".encode("cp1250"),  # or szõlõ
        "красный змей".encode("cp1251"),  # or Greek letters
        "k\u0131rm\u0131z\u0131".encode("cp1254"),  # or kýrmýzý
        "María".encode("mac_roman"),  # looks like Mar\u2019a
        "niño".encode("mac_roman"),
        "café".encode("mac_roman"),
        "čp ØÞ".encode(),
        b"\xff\xd8\xff\xe0",
        bytes(range(128, 256)),
    ],
)
def test_what_may_be_mistaken_is_not_read(content):
    assert decode_code_page(content) is None
