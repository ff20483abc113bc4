"""Tasks of the Video Browser Showdown."""
