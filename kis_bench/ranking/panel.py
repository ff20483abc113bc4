"""Ranks a block of queries: finds the scores that items are compared with, and reads ranks off what is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kis_bench.ranking.blocks import choose_width, find_longest, read_block
from kis_bench.ranking.decisions import Mark
from kis_bench.ranking.engines import MakeEngine, NumpyEngine
from kis_bench.ranking.equal_items import EqualItems
from kis_bench.ranking.item_pass import BLOCK_QUERIES, ItemPass, PanelWork
from kis_bench.ranking.marks import ItemSets, find_mark, split_groups
from kis_bench.ranking.shares import BlockRange, find_shares
from kis_bench.ranking.whole_order import WholeOrder, suits_whole_order
from kis_bench.records import Float32s, Float64s, Int64s, Ranks
from kis_bench.threads import count_shares


class Panel:
    """A block of queries that is compared with all items in one pass."""

    def __init__(
        self,
        queries: Float32s,
        query_lengths: Float64s,
        items: Any,
        targets: ItemSets,
        wider: list[ItemSets],
        codes: Int64s | None,
        first: int,
        make_engine: MakeEngine,
    ) -> None:
        self.queries, self.query_lengths, self.items = queries, query_lengths, items
        self.first = first  # position of the first query, for messages
        self.make_engine, self.equal = make_engine, EqualItems(queries, items)

        def find(few: Any, pools: Any) -> Mark:
            return find_mark(queries, query_lengths, items, few, pools, first)

        self.marks = [find(*targets.split())]
        self.wider = []  # which mark is that of each wider set
        for some in wider:
            if not some.equal(targets):
                self.marks.append(find(*some.split()))
            self.wider.append(0 if some.equal(targets) else len(self.marks) - 1)
        self.codes = codes
        self.counted = len(self.marks)  # the mark behind these is that of groups
        if codes is not None:
            self.marks.append(find(*split_groups(targets, codes)))

    def ranks(
        self,
        top_k: int,
        block_queries: int | None,
        block_items: int | None,
        advance: Callable[[int], None] | None = None,
        *,
        scored: bool,
    ) -> Ranks:
        """The pass over the items, or over the queries where all items are ordered; here, or in shares elsewhere."""
        q, (n, *inner, d) = len(self.queries), self.items.shape
        v, k = inner[0] if inner else 1, min(top_k, n)
        shares, engine = find_shares(self.make_engine), self.make_engine(self.queries)
        # No other library makes scores in float64 for us.
        own = isinstance(engine, NumpyEngine) and not shares
        at_once = own and block_queries is block_items is None and suits_whole_order(self.equal, k)
        threads = 1 if shares else count_shares(q * n * v * d, engine.threads)
        width = n if at_once else block_items or choose_width(n, v, threads)
        work = PanelWork(
            self.queries,
            self.query_lengths,
            self.first,
            self.marks,
            self.counted,
            self.codes,
            n,
            v,
            k,
            block_queries or BLOCK_QUERIES,
            max(1, min(width, n)),
            self.make_engine,
        )
        items = ItemPass(work, self.equal, engine)
        if at_once:
            items.count_whole(self.order_whole(k, scored=scored), advance)
        elif shares is None:
            items.count(BlockRange(0, work.count_blocks()), advance)
        else:
            items.take_all(shares.run_shares(work, self.items), advance)
        return self.make_ranks(items, scored)

    def order_whole(self, k: int, *, scored: bool) -> WholeOrder:
        """What counts, and orders, all items at once."""
        block = read_block(self.items, slice(0, len(self.items)))
        longest = find_longest(block, self.query_lengths, self.first)
        return WholeOrder(self.equal, block, self.query_lengths, longest, k, scored=scored)

    def make_ranks(self, items: ItemPass, scored: bool) -> Ranks:
        q, counts = len(self.queries), items.counts
        named, named_scores = items.list_best()
        best, worst = 1 + counts[0, 0], counts[0].sum(axis=0)
        places = np.zeros((len(self.wider), 2, q), np.int64)  # 0: the query has no wider set
        for place, m in zip(places, self.wider, strict=True):
            known, (higher, alike) = self.marks[m].items >= 0, counts[m]
            own = self.marks[m].level  # which are no rivals of one another
            place[0, known] = (1 + higher)[known]
            place[1, known] = (1 + higher + alike - own)[known]
        group_best = group_worst = middle = None
        if self.codes is not None:
            group_above, group_level = items.count_groups()
            group_best, group_worst = 1 + group_above, group_above + group_level
            middle = (group_best + group_worst) / 2
        return Ranks(
            best,
            worst,
            (best + worst) / 2,
            middle,
            named,
            self.marks[0].round_scores(self.queries),
            group_best,
            group_worst,
            places[:, 0].T,
            places[:, 1].T,
            named_scores if scored else None,
        )
