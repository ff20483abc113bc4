"""One module for each library that searches, which alone imports it; ``make(folder)`` gives its settings."""
