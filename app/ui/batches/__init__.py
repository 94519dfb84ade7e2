"""The list of batches, and one action for many of them."""
