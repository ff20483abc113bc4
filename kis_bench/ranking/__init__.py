"""Exact ranks of known items in bounded memory."""

from kis_bench.ranking.ranks import target_ranks

__all__ = [
    "target_ranks",
]
