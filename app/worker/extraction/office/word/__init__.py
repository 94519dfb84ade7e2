"""Reads Word documents: one walk over their XML."""
