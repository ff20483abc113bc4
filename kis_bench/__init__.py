"""Which joint-embedding model finds my image? Known-item search and similarity benchmarks."""

__version__ = "0.1.0"
