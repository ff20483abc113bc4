"""What the ranks of a run say: which models are better, what they find together, and what is odd."""
