"""What the outside does to the service and its workers, and what has to come of it."""
