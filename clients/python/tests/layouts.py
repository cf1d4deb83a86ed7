"""The layouts in docs/spec/encoding.md, as the codecs of this package have them: `python -m tests.layouts` prints them."""

from __future__ import annotations

import textwrap
from typing import Any

from gridproof import blocks, codec, receipt, spec, transaction, transport

_WIDTH = 124
_RECORDS: list[type] = [
    spec.BlobId,
    spec.Input,
    spec.Output,
    spec.TaskLimits,
    spec.TaskSet,
    spec.Workload,
    spec.Constraints,
    spec.Verification,
    spec.JobSpec,
    transaction.Transfer,
    transaction.SubmitJob,
    transaction.CancelJob,
    transaction.Transaction,
    transaction.SignedTransaction,
    transport.SignedRequest,
    receipt.ExitCode,
    receipt.Trapped,
    receipt.OutOfFuel,
    receipt.OutOfOutput,
    receipt.InvalidModule,
    receipt.Outcome,
    receipt.Outcomes,
    receipt.ReceiptVerifier,
    receipt.Policy,
    receipt.JobReceipt,
    blocks.Header,
    blocks.Validator,
    blocks.Committee,
    blocks.Notarize,
    blocks.Nullify,
    blocks.Finalize,
    blocks.Statement,
    blocks.Certificate,
    blocks.StateLeaf,
    blocks.StateProof,
    blocks.FinalityProof,
    blocks.ValueProof,
    blocks.ReceiptProof,
    blocks.Handover,
    blocks.VersionStart,
    blocks.ClassParams,
    blocks.ComputeParams,
    blocks.Params,
    blocks.GenesisAccount,
    blocks.PartnerProfile,
    blocks.GenesisPartner,
    blocks.Genesis,
]


def _named(made: Any) -> str:
    """How a type is written where it is used."""
    match made:
        case codec.Uint(width):
            return f"u{8 * width}"
        case codec.Flag():
            return "bool"
        case codec.Fixed(width):
            return f"[{width}]"
        case codec.Raw(most):
            return f"bytes({most})"
        case codec.Text(most, lines):
            return f"{'argument' if lines else 'text'}({most})"
        case codec.Choice(kind):
            return " | ".join(f"{item.value} {item.name.lower()}" for item in kind)
        case codec.ListCodec(item, items):
            return f"{'set' if items.ordered else 'list'}({items.most}) of {_named(item)}"
        case codec.MapCodec(key, item, items):
            return f"map({items.most}) of {_named(key)} to {_named(item)}"
        case codec.OptionalCodec(inner):
            return f"{_named(inner)}?"
        case codec.UnionCodec(tags):
            return " | ".join(f"{tag} {kind.__name__}" for tag, kind, _ in tags)
        case codec.RecordCodec(kind, _):
            return kind.__name__
    raise TypeError(f"{made} has no layout")


def layouts() -> str:
    """One paragraph for each record: its fields in their order."""
    lines: list[str] = []
    for kind in _RECORDS:
        made: Any = codec.codec_of(kind)
        fields = [f"{name.rstrip('_')} {_named(field)}" for name, field in made.fields]
        text = f"{kind.__name__:<18} {'; '.join(fields) or 'nothing'}"
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent=" " * 19, break_long_words=False, break_on_hyphens=False)
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    print(layouts())
