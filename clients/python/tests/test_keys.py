"""Keys: where they are read from, what is refused without showing the secret, and ZIP-215."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from gridproof import zip215
from gridproof.errors import KeyFileError
from gridproof.keys import SecretKey, load_key, verify
from tests.vectors import key

SECRET = "03" * 32
TEXT = f'kind = "account"\npublic = "{key(3).public.hex()}"\nsecret = "{SECRET}"\n'
# The eight points of small order, of which y of 0 and 1 have a second encoding with a sign or at p.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


class Sources(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "account.key"
        self.path.touch(0o600)
        self.path.write_text(TEXT, encoding="utf-8")

    def refused(self, source: str, why: str) -> None:
        with self.assertRaisesRegex(KeyFileError, why) as caught:
            load_key(source)
        self.assertNotIn(SECRET, str(caught.exception))

    def test_a_key_comes_from_a_file_a_variable_or_a_descriptor(self) -> None:
        for source in (str(self.path), f"file:{self.path}"):
            self.assertEqual(load_key(source).public, key(3).public)
        with mock.patch.dict(os.environ, {"THE_KEY": TEXT}):
            self.assertEqual(load_key("env:THE_KEY").public, key(3).public)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.write(writer, TEXT.encode())
        os.close(writer)
        self.assertEqual(load_key(f"fd:{reader}").public, key(3).public)

    def test_a_source_that_is_not_there_is_named(self) -> None:
        self.refused("env:GRIDPROOF_NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE is not set")
        self.refused("fd:three", "the number of a descriptor")
        self.refused("fd:987654", "descriptor 987654")
        self.refused(str(self.path) + "s", "No such file")

    def test_a_file_that_others_may_read_is_refused(self) -> None:
        for mode in (0o640, 0o604, 0o620):
            self.path.chmod(mode)
            self.refused(str(self.path), f"mode {mode:03o}")

    def test_what_is_no_key_file_is_refused_without_showing_the_secret(self) -> None:
        cases = {
            TEXT.replace("account", "validator"): "another kind",
            TEXT.replace("secret = ", "secret : "): "expected the keys",
            TEXT + TEXT: "expected the keys",
            TEXT + 'more = "1"\n': "expected the keys",
            TEXT.replace(SECRET, SECRET[2:]): "64 hex digits",
            TEXT.replace(SECRET, "04" * 32): "public key",
            TEXT.split("secret")[0]: "expected the keys",
            SECRET: "expected the keys",
        }
        for text, why in cases.items():
            self.path.write_text(text, encoding="utf-8")
            self.refused(str(self.path), why)
        self.path.write_bytes(b"\xff" * 10)
        self.refused(str(self.path), "not text")

    def test_a_key_does_not_show_its_secret(self) -> None:
        self.assertEqual(repr(SecretKey(b"\3" * 32)), f"SecretKey(of account {key(3).address.hex()})")


class Zip215(unittest.TestCase):
    def test_honest_signatures_verify_and_no_others(self) -> None:
        signature = key(1).sign(b"message")
        for check in (zip215.verify, verify):
            self.assertTrue(check(key(1).public, b"message", signature))
            self.assertFalse(check(key(2).public, b"message", signature))
            self.assertFalse(check(key(1).public, b"massage", signature))
            self.assertFalse(check(key(1).public, b"message", signature[:-1]))
            self.assertFalse(check(key(1).public[:-1], b"message", signature))
            for at in (0, 31, 32, 63):
                changed = bytearray(signature)
                changed[at] ^= 1
                self.assertFalse(check(key(1).public, b"message", bytes(changed)), at)
            # The same S, as a number that is not below the order.
            above = int.from_bytes(signature[32:], "little") + zip215.L
            self.assertFalse(check(key(1).public, b"message", signature[:32] + above.to_bytes(32, "little")))

    def test_points_of_small_order_verify_anything(self) -> None:
        # All combinations of keys and R of small order are valid with S = 0: the vectors of https://zips.z.cash/zip-0215.
        points = [bytes.fromhex(text) for text in SMALL_ORDER]
        for public in points:
            self.assertFalse(zip215.is_strong(public))
            for r in points:
                self.assertTrue(zip215.verify(public, b"Zcash", r + bytes(32)))
        self.assertTrue(verify(points[0], b"Zcash", points[1] + bytes(32)), "the library alone would refuse it")

    def test_keys_are_strong(self) -> None:
        self.assertTrue(all(zip215.is_strong(key(n).public) for n in range(1, 9)))
        no_point = (2).to_bytes(32, "little")
        self.assertIsNone(zip215.decompress(no_point))
        self.assertFalse(zip215.is_strong(no_point) or zip215.is_strong(b""))
        self.assertFalse(zip215.verify(no_point, b"Zcash", bytes(64)))


if __name__ == "__main__":
    unittest.main()
