"""Connections: the circuit of each, and what the tasks of a batch need of them."""
