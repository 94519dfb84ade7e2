"""Batches that are made of a file: their creation, the steps that the service takes for them, and their files."""
