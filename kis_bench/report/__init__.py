"""A run as people read it: tables, plots, Markdown and one self-contained page."""

from kis_bench.report.markdown import write_report

__all__ = ["write_report"]
