"""The longest tests of what the outside does to the service, each at full length: `python -m bench.edges`."""
