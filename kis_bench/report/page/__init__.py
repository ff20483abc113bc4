"""The page: HTML with its programs and styles beside it."""
