"""Documents and their parts."""
