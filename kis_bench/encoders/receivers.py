"""Services that pictures and texts are sent to: which models have one, whether it may have them, and what it got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.protocol import Receiver
from kis_bench.errors import NotReady, spell_option
from kis_bench.records import Checkpoint, count_things


def find_receiver(checkpoint: Checkpoint) -> Receiver | None:
    """The service that a model's pictures and texts are sent to; None: they stay on this machine."""
    find = find_back_end(checkpoint).find_receiver
    return None if find is None else find(checkpoint)


def require_private(model: Any) -> None:
    """Returns if a model may be used under privacy.

    Args:
        model: a checkpoint, or an encoder.

    Raises:
        NotReady: it would send pictures and texts to a service, and nobody said that it may.
    """
    row = getattr(model, "checkpoint", model)
    is_row = isinstance(row, Checkpoint)
    receiver = find_receiver(row) if is_row else getattr(model, "receiver", None)
    if receiver is not None and not receiver.under_privacy:
        raise NotReady(
            f"model {row.name}",
            f"{receiver.describe()}, which {spell_option('privacy')} forbids",
            "If they may go there all the same, write under_privacy=yes into its URL",
        )


def describe_sent(encoder: Any) -> dict[str, Any] | None:
    """What an encoder has sent to a service by now, and where; None: it sends nothing, or isn't loaded yet."""
    if not getattr(encoder, "loaded", True):
        return None
    describe = getattr(getattr(encoder, "encoder", encoder), "describe_sent", None)
    return None if describe is None else dict(describe())


def describe_traffic(sent: Mapping[str, Any]) -> str:
    """The same in words.

    >>> describe_traffic({"to": "https://host.example", "requests": 2, "pictures": 20, "texts": 1, "tokens": 0})
    '20 pictures and 1 text in 2 requests to https://host.example'
    """
    count = {kind: int(sent.get(kind) or 0) for kind in ("pictures", "texts", "requests")}
    pictures, texts, requests = (count_things(n, kind[:-1]) for kind, n in count.items())
    tokens = f", {sent['tokens']:,} tokens by its count" if sent.get("tokens") else ""
    again = f", {count_things(sent['repeated'], 'repetition')}" if sent.get("repeated") else ""
    return f"{pictures} and {texts} in {requests} to {sent['to']}{tokens}{again}"
