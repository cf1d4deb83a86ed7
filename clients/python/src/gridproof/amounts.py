"""SQUARE as people write it, and in base units of 10^-18."""

from __future__ import annotations

import re

from gridproof.errors import CodecError

SQUARE = 10**18
_TEXT = re.compile(r"([0-9]+)(?:\.([0-9]{1,18}))?", re.ASCII)


def parse_square(text: str) -> int:
    """Base units of a decimal text such as `"0.25"`: digits, at most one point, at most 18 decimals."""
    found = _TEXT.fullmatch(text)
    units = int(found[1]) * SQUARE + int((found[2] or "").ljust(18, "0")) if found else -1
    if not 0 <= units < 1 << 128:
        raise CodecError(f"{text!r} is not an amount of SQUARE, such as 12 or 0.25")
    return units


def format_square(units: int) -> str:
    """The one decimal text of an amount in base units."""
    whole, part = divmod(units, SQUARE)
    return f"{whole}.{part:018}".rstrip("0") if part else str(whole)
