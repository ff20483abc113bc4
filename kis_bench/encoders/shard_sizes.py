"""How many vectors lie in one file of the store: what a model makes in half a minute to a minute."""

import math

SHARD_SECONDS = 60.0  #: of work that a shard should hold, for that is what a killed run loses
MOST_SHARDS = 4096  #: of a dataset; each is a file that is mapped
MOST_SHARD_BYTES = 64 * 2**20  #: of the vectors of a shard


def widen_shards(n: int, shard_items: int) -> int:
    """So many items in a shard, doubled until there are no more than `MOST_SHARDS` of n items.

    >>> widen_shards(1_000_000, 64), widen_shards(5_000, 64)
    (256, 64)
    """
    while n > shard_items * MOST_SHARDS:
        shard_items *= 2
    return shard_items


def count_shard_items(n: int, pace_s: float, batch_size: int, item_bytes: int) -> int:
    """How many items a shard should hold: half a minute to a minute of work.

    A multiple of the batch size by a power of two, or, where a batch takes more than a minute, a power of two. Not so
    few that there are more than `MOST_SHARDS`, nor so many that their vectors take more than `MOST_SHARD_BYTES`, nor
    twice as many as hold all.

    Args:
        n: items of the dataset.
        pace_s: seconds that an item takes.
        item_bytes: of its vectors.

    >>> [count_shard_items(10_000, pace_s, 16, 2048) for pace_s in (0.001, 0.075, 1, 20)]
    [16384, 512, 32, 4]
    """
    wanted = SHARD_SECONDS / max(pace_s, 1e-6)
    wanted = min(wanted, max(batch_size, MOST_SHARD_BYTES // item_bytes))
    wanted = max(wanted, n / MOST_SHARDS, 1)
    unit = batch_size if wanted >= batch_size else 1
    wanted = min(wanted, 2 * max(n, unit) - 1)
    items: int = unit * 2 ** math.floor(math.log2(wanted / unit))
    return items if n <= items * MOST_SHARDS else 2 * items
