"""The client's own wheel: it has the client and needs httpx, and nothing of the service."""

import re
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.package.conftest import build, finished
from tests.support.process import ROOT
from tests.support.server import LiveServer

SERVICE = {"app", "config", "flask", "sqlalchemy", "requests", "pyarrow", "pandas"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, taken apart in a folder."""
    folder = tmp_path_factory.mktemp("client")
    with ZipFile(build(ROOT / "interlock", folder)) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_it_has_the_client_alone(unpacked: Path) -> None:
    sources = {path.relative_to(ROOT) for path in (ROOT / "interlock").rglob("*.py") if path.name != "generate.py"}
    there = {path.relative_to(unpacked) for path in (unpacked / "interlock").rglob("*") if path.is_file()}
    assert there == sources | {Path("interlock/py.typed")}


def test_it_needs_httpx_alone(unpacked: Path) -> None:
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    needed = re.findall(r"^Requires-Dist: (.+)$", metadata.read_text(), re.M)
    assert [each for each in needed if "extra ==" not in each] == ["httpx~=0.28"]
    assert len(needed) == 3


def test_it_loads_nothing_of_the_service(unpacked: Path, service_with_worker: LiveServer, tmp_path: Path) -> None:
    program = (
        "import sys, interlock\n"
        f"client = interlock.Client({service_with_worker.url!r}, {service_with_worker.tokens['viewer']!r})\n"
        "assert isinstance(list(client.batches()), list)\n"
        f"assert not {SERVICE!r} & {{name.partition('.')[0] for name in sys.modules}}, sys.modules\n"
        "assert interlock.__file__.startswith(sys.path[0]), interlock.__file__\n"
    )
    done = finished(sys.executable, "-c", program, folder=tmp_path, PYTHONPATH=str(unpacked), PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr
