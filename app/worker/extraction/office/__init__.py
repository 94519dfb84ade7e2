"""Reads office files: ZIP archives of XML, written by Word, Excel, PowerPoint and LibreOffice."""
