"""What the documents say of bytes is what this package reads and writes."""

from __future__ import annotations

import re
import unittest

from gridproof.transaction import Transaction, Transfer
from tests.layouts import layouts
from tests.vectors import ROOT, key


class Documents(unittest.TestCase):
    def test_the_layouts_are_those_of_the_codecs(self) -> None:
        document = (ROOT / "docs/spec/layouts.md").read_text(encoding="utf-8")
        # `python -m tests.layouts` prints what belongs there.
        self.assertIn(f"\n```text\n{layouts()}\n```\n", document)

    def test_the_example_of_a_transaction_is_made_as_the_document_says(self) -> None:
        document = (ROOT / "docs/http.md").read_text(encoding="utf-8")
        example = document.split("POST /v1/transactions HTTP/1.1")[1]
        sent = re.search('"transaction": "([0-9a-f]+)"', example)
        id_ = re.search('"id": "([0-9a-f]+)"', example)
        assert sent and id_
        made = Transaction(b"\7" * 32, key(3).public, 4, 100, 10**15, Transfer(b"\xb0" * 20, 10**18))
        self.assertEqual(made.sign(key(3)).to_bytes().hex(), sent[1])
        self.assertEqual(made.id.hex(), id_[1])


if __name__ == "__main__":
    unittest.main()
