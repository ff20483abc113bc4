"""Whether a model is as good as it has to be: thresholds, and comparison with a baseline -> verdicts.

``thresholds`` reads and checks thresholds.toml, ``threshold_writing`` writes one from a run; ``baselines`` reads and
saves what a run is compared with, ``rules`` compares; all give rows of verdicts.csv, made in
``kis_bench.gate.verdicts``.
"""
