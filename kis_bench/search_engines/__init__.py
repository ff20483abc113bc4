"""What search systems do to the ranks of known items: real engines, asked for what was ranked exactly."""
