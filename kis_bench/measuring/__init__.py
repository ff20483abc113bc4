"""Known-item search and image similarity, measured without pytest."""
