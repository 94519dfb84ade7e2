"""The shapes of bodies, queries and answers: what is taken from callers, what is shown to them, and kinds of fields."""
