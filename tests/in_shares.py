"""SharedWork of ranking in shares of odd sizes, in any order, each by a copy that went through pickle."""

import pickle

import numpy as np

from kis_bench.ranking.engines import NumpyEngine
from kis_bench.ranking.shares import BlockRange


class InShares:
    name, device, spelling = "shares", "one process", "shares"

    def __init__(self, make_engine=NumpyEngine):
        self.make_engine, self.rng = make_engine, np.random.default_rng(5)

    def __call__(self, queries):
        return self.make_engine(queries)

    def run_shares(self, work, items):
        blocks = work.count_blocks()
        cuts = np.unique(self.rng.integers(0, blocks + 1, 4))
        shares = list(zip([0, *cuts.tolist()], [*cuts.tolist(), blocks], strict=True))
        self.rng.shuffle(shares)
        packed = pickle.dumps(work, 5)
        for start, stop in shares:  # some are empty
            share = BlockRange(int(start), int(stop))
            yield share, pickle.loads(pickle.dumps(pickle.loads(packed).run(items, share), 5))

    def close(self):
        pass
