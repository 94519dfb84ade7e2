"""The pages of results: the matrix, one answer beside it, and how answers are shown."""
