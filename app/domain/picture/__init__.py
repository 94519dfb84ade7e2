"""The drawn state machine: a grid and routes computed from the table, so that a new row appears by itself."""
