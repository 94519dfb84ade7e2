"""Finds things by their number or their name, over all batches."""
