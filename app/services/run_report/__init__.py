"""The report of a run: sums, agreement, and answers document by document."""
