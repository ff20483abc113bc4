"""What the first bytes of a JPEG XL picture say: how large it is, and how it is turned.

Its decoder turns pixels as the codestream says; what EXIF data say beside it holds only where that says nothing.
"""

from __future__ import annotations

JXL_CODESTREAM = b"\xff\x0a"
JXL_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
SIDE_BITS = (9, 13, 18, 30)  #: of a side less 1, after two bits that say which
#: Width of a height, by the three bits that may stand for it (ISO/IEC 18181-1, SizeHeader).
SHARES = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


class Bits:
    """Bits of some bytes, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self.left, self.n_left = int.from_bytes(content, "little"), 8 * len(content)

    def take(self, n: int) -> int:
        """The next n as a number. Raises ValueError where there aren't so many."""
        if n > self.n_left:
            raise ValueError("it ends within its header")
        found = self.left & ((1 << n) - 1)
        self.left, self.n_left = self.left >> n, self.n_left - n
        return found

    def take_side(self, small: bool) -> int:
        if small:
            return 8 * (self.take(5) + 1)
        return self.take(SIDE_BITS[self.take(2)]) + 1


def find_codestream(content: bytes) -> bytes:
    """The first bytes of the codestream, with its mark. Raises ValueError if there is none."""
    if content.startswith(JXL_CODESTREAM):
        return content
    at = 0
    while at + 8 <= len(content):
        size, kind, head = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)  # a part begins with its number
            return content[start : at + size if size else None]
        if size < head:
            break
        at += size
    raise ValueError("JPEG XL without a codestream")


def read_jxl_header(content: bytes) -> tuple[tuple[int, int], int]:
    """Width and height before it is turned, and its orientation as EXIF numbers them.

    Raises:
        ValueError: it ends before, or is damaged.

    >>> read_jxl_header(bytes.fromhex("ff0a3000560e001388020094c0020c00"))
    ((300, 7), 1)
    """
    bits = Bits(find_codestream(content)[len(JXL_CODESTREAM) :][:16])
    small = bool(bits.take(1))
    height = bits.take_side(small)
    share = SHARES.get(bits.take(3))
    width = bits.take_side(small) if share is None else height * share[0] // share[1]
    is_default = bits.take(1)
    turned = not is_default and bits.take(1)
    return (width, height), bits.take(3) + 1 if turned else 1
