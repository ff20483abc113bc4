"""Imports what the code of the thesis M3RT saved."""
