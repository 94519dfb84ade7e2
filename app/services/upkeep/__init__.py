"""What a process does by itself: the sweeper, samples, and the check of every promise."""
