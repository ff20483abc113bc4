"""Image features by hand, without weights and without a text side."""
