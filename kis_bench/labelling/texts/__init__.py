"""``kis-bench label``: people describe sampled pictures, and a label file of their texts comes of it."""
