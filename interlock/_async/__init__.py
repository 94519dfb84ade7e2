"""The client on asyncio. `interlock/_sync` is written from this folder: `python interlock/generate.py`."""
