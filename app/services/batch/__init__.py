"""What state a batch is in: the only writers of a batch."""
