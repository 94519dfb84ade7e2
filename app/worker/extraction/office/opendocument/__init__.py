"""Reads OpenDocument files, as LibreOffice writes them: texts, spreadsheets, presentations."""
