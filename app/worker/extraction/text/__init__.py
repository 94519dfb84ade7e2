"""Reads files that are text already: plain text, Markdown, CSV."""
