"""The client of the service: its calls, what its answers mean, and how to wait when it is away."""
