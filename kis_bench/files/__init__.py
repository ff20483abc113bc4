"""Files: read with all their problems, written whole, and cached."""
