"""How many calls a run will make, what they will cost and how long they take: one estimate, wherever it is shown."""
