"""The parts of the report, in Markdown."""
