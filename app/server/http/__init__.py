"""The HTTP server of a web process: it reads requests, gives each to the WSGI application, and sends the answers."""
