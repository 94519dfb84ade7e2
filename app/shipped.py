"""The files that come with the program beside its modules: migrations and samples, in a checkout or in a wheel."""

from pathlib import Path

_APP = Path(__file__).parent
IS_CHECKOUT = (_APP.parent / "alembic.ini").is_file()  # the wheel has this file inside app/


def shipped(name: str) -> Path:
    """Find a file or folder that is at the top level of a checkout. A wheel has it inside app/."""
    return (_APP.parent if IS_CHECKOUT else _APP) / name
