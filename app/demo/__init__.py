"""The demo: stages and runs a batch of sample documents, and prints its results and its audit trail.

It is an HTTP client like any other. It may be killed and started again at any time: it finds a demo batch that has not
ended by its name and continues it. It requests only actions that the batch allows, so that none is requested twice.
"""
