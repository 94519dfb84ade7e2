"""The tasks of a run: made, held and counted."""
