"""Search engines as their users write them, good and bad ones, which the projects of tests import."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


class Flat:
    """All items compared with each query."""

    name = "mine: flat"
    packages = ("numpy",)
    largest_k = None

    def __init__(self, folder):
        self.folder = folder

    def build(self, items):
        self.items = items.astype(np.float64)

    def search(self, queries, k):
        return np.argsort(-(queries @ self.items.T), axis=1, kind="stable")[:, :k]

    def close(self):
        np.save(self.folder / "items.npy", self.items)


def make(folder):
    return Flat(folder)


def make_limited(folder):
    engine = Flat(folder)
    engine.name, engine.largest_k = "mine: at most 7", 7
    return engine


def make_lying(folder):
    engine = Flat(folder)
    engine.name = "mine: lying"
    engine.search = lambda queries, k: np.zeros((len(queries), k), int)
    return engine


def make_nan(folder):
    engine = Flat(folder)
    engine.name = "mine: NaN"
    engine.search = lambda queries, k: np.full((len(queries), k), np.nan)
    return engine


def make_outside(folder):
    engine = Flat(folder)
    engine.name = "mine: outside"
    engine.search = lambda queries, k: np.full((len(queries), 1), len(engine.items))
    return engine


def make_crashing(folder):
    engine = Flat(folder)
    engine.name = "mine: crashing"

    def build(items):
        print("building", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    engine.build = build
    return engine


def make_quitting(folder):
    engine = Flat(folder)
    engine.name = "mine: quitting"
    engine.search = lambda queries, k: os._exit(3)
    return engine


def make_raising(folder):
    engine = Flat(folder)
    engine.name = "mine: raising"

    def search(queries, k):
        raise RuntimeError("no memory for it")

    engine.search = search
    return engine


def make_refusing(folder):
    from kis_bench.search_engines.protocol import EngineRefused

    engine = Flat(folder)
    engine.name = "mine: refusing"

    def build(items):
        raise EngineRefused(f"mine takes up to 2 numbers a vector, and here are {items.shape[1]}")

    engine.build = build
    return engine


def make_absent(folder):
    engine = Flat(folder)
    engine.name, engine.packages = "mine: absent", ("no-such-package-at-all",)
    return engine


def make_unsteady(folder):
    """Gives another order each time it is asked."""
    engine = Flat(folder)
    engine.name, asked = "mine: unsteady", [0]

    def search(queries, k):
        asked[0] += 1
        return np.roll(Flat.search(engine, queries, k), asked[0], axis=1)

    engine.search = search
    return engine


def make_nothing(folder):
    return object()


def make_error(folder):
    raise ValueError("no settings today")


def make_slow(folder):
    engine = Flat(folder)
    engine.name = "mine: slow"
    engine.build = lambda items: time.sleep(3600)
    return engine


def make_few(folder):
    """Is asked for as many queries as make 36 pairs with the items."""
    engine = Flat(folder)
    engine.name, engine.most_pairs = "mine: few", 36
    return engine


def make_silent(folder):
    """Ends its process as if all had gone well."""
    engine = Flat(folder)
    engine.name = "mine: silent"
    engine.search = lambda queries, k: sys.exit(0)
    return engine


class Later:
    """An answer that is computed once it is looked at, as libraries for GPUs do."""

    def __init__(self, ids):
        self.ids = ids

    def __array__(self, dtype=None, copy=None):
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return self.ids


def make_lazy(folder):
    engine = Flat(folder)
    engine.name = "mine: lazy"
    engine.search = lambda queries, k: Later(Flat.search(engine, queries, k))
    return engine


def make_lucky(folder):
    """Loses some items, others each time it is built."""
    engine = Flat(folder)
    engine.name = "mine: lucky"

    def build(items):
        engine.items = items.astype(np.float64)
        engine.items[np.random.default_rng().random(len(items)) < 0.3] = 0

    engine.build = build
    return engine


def make_importing(folder):
    """Takes long and much memory when it is built for the first time, as where a library is imported."""
    engine = Flat(folder)
    engine.name = "mine: importing"

    def build(items):
        if not LIBRARY:
            end = time.process_time() + 0.5
            while time.process_time() < end:
                pass
            LIBRARY.append(np.ones(2**23))
        engine.items = items.astype(np.float64)

    engine.build = build
    return engine


LIBRARY = []


def make_serving(folder):
    """Starts a process of its own that stays, and never answers."""
    engine = Flat(folder)
    engine.name = "mine: serving"

    def build(items):
        server = subprocess.Popen(["sleep", "600"])
        Path(os.environ["SERVER_FILE"]).write_text(str(server.pid))
        time.sleep(600)

    engine.build = build
    return engine
