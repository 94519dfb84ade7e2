"""Reports of results: how they are sent, kept until the service has them, and saved to disk."""
