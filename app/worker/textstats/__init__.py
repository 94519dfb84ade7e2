"""`textstats`: an analysis of a text that needs no model and no network, so that a batch can be seen through offline.

It counts, and says how it counted. Pure functions of the text; what a task or a batch is stands in `handler` alone.
"""
