"""Connections to model servers: what workers can do, when calls are made, and what an outage does to a batch."""
