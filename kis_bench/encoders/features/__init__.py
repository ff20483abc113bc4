"""Image features by hand, without weights and without a text side."""

from kis_bench.encoders.features.extractors import BACK_END

__all__ = ["BACK_END"]
