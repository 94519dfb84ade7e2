"""Files that become documents: which name one may have, and what kind it is."""

import mimetypes

LONGEST_NAME = 500
# What the platform's table may lack.
MEDIA_TYPES = {".md": "text/markdown", ".txt": "text/plain", ".csv": "text/csv", ".jsonl": "application/jsonl"}


def usable_name(name: str | None) -> bool:
    """Whether a file's name can be a document's."""
    return bool(name) and len(str(name)) <= LONGEST_NAME and "\0" not in str(name)


def media_type(name: str, said: str | None) -> str:
    """Tell a file's kind: what its sender said, unless that says nothing, or else by its name."""
    suffix = "." + name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if said and said != "application/octet-stream" and len(said) <= 200:
        return said
    return MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
