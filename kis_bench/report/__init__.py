"""A run as people read it: tables, plots, Markdown and one self-contained page."""

from kis_bench.report.writing import NotDrawn, write_report

__all__ = ["NotDrawn", "write_report"]
