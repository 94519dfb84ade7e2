"""The services in this process, on both databases: contract 2, 3, 4 and what contract 5 promises to workers."""
