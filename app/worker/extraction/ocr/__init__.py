"""Reads pictures of text with Tesseract, where the machine has it."""
