"""Pages on which people judge triplets: which of two pictures is more similar to a third."""
