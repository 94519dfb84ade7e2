"""The client on threads, written from `interlock/_async`: `python interlock/generate.py`."""
