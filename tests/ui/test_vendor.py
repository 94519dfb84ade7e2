"""What others wrote is there as they published it, with its version and licence."""

import hashlib
import re
from pathlib import Path

import pytest

from app import ui

ROOT = Path(__file__).parent
FOLDERS = (Path(ui.__file__).parent / "static" / "vendor", ROOT)


@pytest.mark.parametrize("folder", FOLDERS, ids=("pages", "tests"))
def test_the_sums_are_those_of_the_files(folder: Path) -> None:
    row = r"^\| (\S+) \| \S+ \| [\d.]+ \| \S+ \| ([0-9a-f]{64}) \|$"
    listed = re.findall(row, (folder / "VENDOR.md").read_text(), re.MULTILINE)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.min.*")}
    assert dict(listed) == found != {}
