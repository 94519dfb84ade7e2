"""Reads HTML as a reader of the page sees it."""
