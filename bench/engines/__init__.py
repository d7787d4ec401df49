"""Engines submit cells and report their end; results travel by the store alone."""
