"""Ed25519 verification under ZIP-215 (https://zips.z.cash/zip-0215), the rule of the chain.

Nothing here is secret, so nothing runs in constant time. About 3 ms a signature.
"""

from __future__ import annotations

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

# Extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.
Point = tuple[int, int, int, int]
IDENTITY: Point = (0, 1, 1, 0)


def _add(a: Point, b: Point) -> Point:
    x = (a[1] - a[0]) * (b[1] - b[0]) % P
    y = (a[1] + a[0]) * (b[1] + b[0]) % P
    t = 2 * a[3] * b[3] * D % P
    z = 2 * a[2] * b[2] % P
    e, f, g, h = y - x, z - t, z + t, y + x
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(a: Point) -> Point:
    x, y = a[0] * a[0] % P, a[1] * a[1] % P
    h = x + y
    e = h - (a[0] + a[1]) ** 2 % P
    g = x - y
    f = 2 * a[2] * a[2] % P + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    found = IDENTITY
    for bit in bin(scalar)[2:]:
        found = _double(found)
        if bit == "1":
            found = _add(found, point)
    return found


def _is_identity(point: Point) -> bool:
    return point[0] % P == 0 and (point[1] - point[2]) % P == 0


def decompress(data: bytes) -> Point | None:
    """The point of 32 bytes: y may be at or above p, and an x of 0 may have a sign."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & ((1 << 255) - 1)) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * SQRT_M1 % P
        if (v * x * x - u) % P:
            return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


_found_base = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
assert _found_base is not None
BASE: Point = _found_base


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """True if [8][S]B = [8]R + [8][k]A, with S below the group's order."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = decompress(public), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_a = (-a[0] % P, a[1], a[2], -a[3] % P)
    minus_r = (-r[0] % P, r[1], r[2], -r[3] % P)
    rest = _add(_add(_times(s, BASE), _times(k, minus_a)), minus_r)
    return _is_identity(_double(_double(_double(rest))))


def is_strong(public: bytes) -> bool:
    """True for the canonical encoding of a point that is not of small order: others could verify anything."""
    point = decompress(public) if len(public) == 32 else None
    if point is None or int.from_bytes(public, "little") & ((1 << 255) - 1) >= P:
        return False
    return not _is_identity(_double(_double(_double(point))))
