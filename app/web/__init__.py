"""What both edges, the API and the pages, stand on."""
