"""Files: read with all that is wrong in them, written whole, and remembered."""
