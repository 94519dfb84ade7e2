"""`textstats`: an analysis of a text without a model or a network, so that a batch can be completed offline.

Each number has the method by which it was counted. Only `handler` knows what a task is.
"""
