"""Whether a request fits into what its model takes at once, by an estimate of its tokens."""
