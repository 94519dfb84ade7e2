"""Reads Excel workbooks: values as the sheets show them."""
