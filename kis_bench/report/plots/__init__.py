"""The figures of the report, each as PNG, SVG and PDF."""
