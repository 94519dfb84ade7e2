"""Reads e-mail: headers, every text part in its order, forwarded messages."""
