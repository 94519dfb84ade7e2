"""How many calls a run will make and what they will cost: one estimate, wherever it is shown."""
