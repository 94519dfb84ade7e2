"""What the tests and the benchmark stand on: a private PostgreSQL and a server process."""
