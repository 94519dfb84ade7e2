"""What a model answers: its text, its JSON, its errors, and when two answers are the same."""
