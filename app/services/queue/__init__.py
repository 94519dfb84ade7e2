"""How workers get tasks and report what happened to them."""
