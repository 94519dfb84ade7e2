"""Reads PDF with PDFium."""
