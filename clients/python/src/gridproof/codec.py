"""Canonical borsh, as docs/spec/encoding.md defines it: bounded lengths, ordered collections, nothing after the value.

A type is described by its annotation: `U64`, `Hash`, `Annotated[tuple[Input, ...], Items(64)]`, a frozen dataclass whose
fields are such types, `X | None`, or a union of dataclasses with `Tagged`.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import types
import typing
from typing import Annotated, Any, Protocol, TypeVar, get_args, get_origin

from gridproof.errors import CodecError

T = TypeVar("T")


class Reader:
    """Bytes that are read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next bytes; refuses if there are fewer, before anything is allocated."""
        if count > len(self._data) - self.at:
            raise CodecError(f"{count} bytes expected at byte {self.at} of {len(self._data)}")
        self.at += count
        return self._data[self.at - count : self.at]

    def number(self, width: int) -> int:
        """A whole number of `width` bytes, little-endian."""
        return int.from_bytes(self.take(width), "little")

    def length(self, most: int) -> int:
        """A length of four bytes, at most `most`."""
        found = self.number(4)
        if found > most:
            raise CodecError(f"{found} items where at most {most} are allowed")
        return found

    def end(self) -> None:
        """Refuses if bytes are left."""
        if self.at != len(self._data):
            raise CodecError(f"the value ends at byte {self.at}, {len(self._data)} bytes are given")


class Codec(Protocol):
    """How values of one type are written and read."""

    def write(self, value: Any, out: bytearray) -> None: ...

    def read(self, reader: Reader) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Uint:
    """A whole number from 0 on, of so many bytes."""

    width: int

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 8 * self.width:
            raise CodecError(f"{value!r} is no whole number of {8 * self.width} bits")
        out += value.to_bytes(self.width, "little")

    def read(self, reader: Reader) -> int:
        return reader.number(self.width)


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or false, as one byte."""

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, bool):
            raise CodecError(f"{value!r} is neither true nor false")
        out.append(int(value))

    def read(self, reader: Reader) -> bool:
        found = reader.number(1)
        if found > 1:
            raise CodecError(f"{found} is neither true nor false")
        return found == 1


@dataclasses.dataclass(frozen=True)
class Fixed:
    """Exactly so many bytes."""

    width: int

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, bytes) or len(value) != self.width:
            raise CodecError(f"{self.width} bytes expected")
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(self.width)


@dataclasses.dataclass(frozen=True)
class Raw:
    """At most so many bytes, after their number."""

    most: int

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, bytes) or len(value) > self.most:
            raise CodecError(f"at most {self.most} bytes expected")
        out += len(value).to_bytes(4, "little") + value

    def read(self, reader: Reader) -> bytes:
        return reader.take(reader.length(self.most))


@dataclasses.dataclass(frozen=True)
class Text:
    """UTF-8 of at most so many bytes, without control characters; with `lines`, only without zero bytes."""

    most: int
    lines: bool = False

    def check(self, value: str) -> bytes:
        data = value.encode()
        if len(data) > self.most:
            raise CodecError(f"a text of {len(data)} bytes, at most {self.most} are allowed")
        if any(c == "\0" or (not self.lines and _is_control(c)) for c in value):
            raise CodecError("a text with a control character")
        return data

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, str):
            raise CodecError(f"{value!r} is no text")
        data = self.check(value)
        out += len(data).to_bytes(4, "little") + data

    def read(self, reader: Reader) -> str:
        try:
            value = reader.take(reader.length(self.most)).decode()
        except UnicodeDecodeError:
            raise CodecError("a text that is not UTF-8") from None
        self.check(value)
        return value


def _is_control(c: str) -> bool:
    return c < " " or "\x7f" <= c <= "\x9f"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of an enumeration's numbers, as one byte."""

    kind: type[enum.IntEnum]

    def write(self, value: Any, out: bytearray) -> None:
        if type(value) is not self.kind:
            raise CodecError(f"{value!r} is no {self.kind.__name__}")
        out.append(value)

    def read(self, reader: Reader) -> enum.IntEnum:
        try:
            return self.kind(reader.number(1))
        except ValueError as error:
            raise CodecError(str(error)) from None


@dataclasses.dataclass(frozen=True)
class Items:
    """Marks a tuple or a dict of at most so many items; `ordered`: strictly ascending, as dicts are by key."""

    most: int
    ordered: bool = False


@dataclasses.dataclass(frozen=True)
class Tagged:
    """Marks a union: the number that stands before each of its types."""

    tags: tuple[tuple[int, type], ...]


@dataclasses.dataclass(frozen=True)
class ListCodec:
    item: Codec
    items: Items

    def write(self, value: Any, out: bytearray) -> None:
        if len(value) > self.items.most:
            raise CodecError(f"{len(value)} items where at most {self.items.most} are allowed")
        if self.items.ordered:
            _check_order(value)
        out += len(value).to_bytes(4, "little")
        for item in value:
            self.item.write(item, out)

    def read(self, reader: Reader) -> tuple[Any, ...]:
        found = tuple(self.item.read(reader) for _ in range(reader.length(self.items.most)))
        if self.items.ordered:
            _check_order(found)
        return found


@dataclasses.dataclass(frozen=True)
class MapCodec:
    key: Codec
    item: Codec
    items: Items

    def write(self, value: Any, out: bytearray) -> None:
        if len(value) > self.items.most:
            raise CodecError(f"{len(value)} entries where at most {self.items.most} are allowed")
        out += len(value).to_bytes(4, "little")
        for key in sorted(value):
            self.key.write(key, out)
            self.item.write(value[key], out)

    def read(self, reader: Reader) -> dict[Any, Any]:
        count = reader.length(self.items.most)
        found = [(self.key.read(reader), self.item.read(reader)) for _ in range(count)]
        _check_order([key for key, _ in found])
        return dict(found)


def _check_order(values: typing.Sequence[Any]) -> None:
    if any(not before < after for before, after in itertools.pairwise(values)):
        raise CodecError("items that are not in strictly ascending order")


@dataclasses.dataclass(frozen=True)
class OptionalCodec:
    inner: Codec

    def write(self, value: Any, out: bytearray) -> None:
        out.append(int(value is not None))
        if value is not None:
            self.inner.write(value, out)

    def read(self, reader: Reader) -> Any:
        found = reader.number(1)
        if found > 1:
            raise CodecError(f"{found} is no mark of presence")
        return self.inner.read(reader) if found else None


@dataclasses.dataclass(frozen=True)
class RecordCodec:
    kind: type
    fields: tuple[tuple[str, Codec], ...]

    def write(self, value: Any, out: bytearray) -> None:
        if type(value) is not self.kind:
            raise CodecError(f"{value!r} is no {self.kind.__name__}")
        for name, codec in self.fields:
            codec.write(getattr(value, name), out)

    def read(self, reader: Reader) -> Any:
        found = {name: codec.read(reader) for name, codec in self.fields}
        return self.kind(**found)


@dataclasses.dataclass(frozen=True)
class UnionCodec:
    tags: tuple[tuple[int, type, Codec], ...]

    def write(self, value: Any, out: bytearray) -> None:
        for tag, kind, codec in self.tags:
            if type(value) is kind:
                out.append(tag)
                codec.write(value, out)
                return
        raise CodecError(f"{value!r} is none of {[kind.__name__ for _, kind, _ in self.tags]}")

    def read(self, reader: Reader) -> Any:
        found = reader.number(1)
        for tag, _, codec in self.tags:
            if tag == found:
                return codec.read(reader)
        raise CodecError(f"{found} is none of the kinds that are known here")


def _with_marks(inner: Any, marks: tuple[Any, ...]) -> Codec:
    for mark in marks:
        if isinstance(mark, (Uint, Flag, Fixed, Raw, Text, Choice)):
            return mark
        if isinstance(mark, Tagged):
            return UnionCodec(tuple((tag, kind, codec_of(kind)) for tag, kind in mark.tags))
        if isinstance(mark, Items):
            args = get_args(inner)
            if get_origin(inner) is dict:
                return MapCodec(codec_of(args[0]), codec_of(args[1]), mark)
            return ListCodec(codec_of(args[0]), mark)
    raise TypeError(f"{inner} has no encoding")


def codec_of(hint: Any) -> Codec:
    """The encoding of a type, made once."""
    found = _CODECS.get(hint)
    if found is None:
        found = _CODECS[hint] = _made_of(hint)
    return found


_CODECS: dict[Any, Codec] = {}


def _made_of(hint: Any) -> Codec:
    if get_origin(hint) is Annotated:
        return _with_marks(get_args(hint)[0], hint.__metadata__)
    if hint is bool:
        return Flag()
    if get_origin(hint) in (typing.Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(inner) == 1:
            return OptionalCodec(codec_of(inner[0]))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint, include_extras=True)
        return RecordCodec(hint, tuple((f.name, codec_of(hints[f.name])) for f in dataclasses.fields(hint)))
    raise TypeError(f"{hint} has no encoding")


def encode(value: Any, hint: Any = None) -> bytes:
    """The canonical bytes of a value, of its own type or of the one that `hint` describes."""
    out = bytearray()
    codec_of(type(value) if hint is None else hint).write(value, out)
    return bytes(out)


def decode(hint: type[T], data: bytes, most: int) -> T:
    """The one value whose encoding is all of `data`, at most `most` bytes."""
    if len(data) > most:
        raise CodecError(f"{len(data)} bytes where at most {most} are allowed")
    reader = Reader(data)
    found: T = codec_of(hint).read(reader)
    reader.end()
    return found


U8 = Annotated[int, Uint(1)]
U16 = Annotated[int, Uint(2)]
U32 = Annotated[int, Uint(4)]
U64 = Annotated[int, Uint(8)]
# SQUARE in base units of 10^-18, or a fraction in units of 2^-64.
U128 = Annotated[int, Uint(16)]
Hash = Annotated[bytes, Fixed(32)]
Address = Annotated[bytes, Fixed(20)]
PublicKeyBytes = Annotated[bytes, Fixed(32)]
SignatureBytes = Annotated[bytes, Fixed(64)]
