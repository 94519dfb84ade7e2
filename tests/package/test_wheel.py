"""The wheel: what is in it, what it needs, and that its commands work from any folder."""

import json
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tests.package.conftest import Installed
from tests.support.postgres import free_port
from tests.support.process import ROOT

BESIDE_MODULES = ("migrations/versions", "samples", "ui/templates", "ui/static")


@pytest.mark.parametrize("folder", BESIDE_MODULES)
def test_the_wheel_has_what_the_service_reads(wheel: Path, folder: str) -> None:
    source = ROOT / folder if (ROOT / folder).exists() else ROOT / "app" / folder
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files
    assert {f"app/{folder}/{file}" for file in files} <= set(ZipFile(wheel).namelist())


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"app", "interlock", "config.py", "wsgi.py"}
    assert not [name for name in ZipFile(wheel).namelist() if name.endswith(".pyc")]


def requirements(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {str(Requirement(line)).lower() for line in lines if line and line[0] not in "#-"}


def test_the_wheel_needs_what_requirements_txt_lists(wheel: Path) -> None:
    archive = ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    needed = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])
    always = {str(Requirement(each)).lower() for each in needed if "extra ==" not in each}
    assert always == requirements("requirements.txt") | requirements("interlock/requirements.txt")
    assert len(always) > 20


def test_the_demo_runs_to_its_end_from_an_empty_folder(installed: Installed) -> None:
    done = installed.run("interlock", "demo", PORT=str(free_port()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "COMPLETED" in done.stdout
    assert {"interlock.db", "admin-token"} <= {path.name for path in installed.data.iterdir()}


def test_files_become_answers_on_a_service_of_the_wheel(installed: Installed, samples: list[str]) -> None:
    with installed.serving() as url:
        done = installed.run(
            "interlock", "run", *samples, "--prompt", "Summarise: {document}", "--model", "local/textstats",
            INTERLOCK_URL=url, INTERLOCK_TOKEN_FILE=str(installed.data / "admin-token"),
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["document"]["name"] for row in rows} == {Path(path).name for path in samples}
    assert all(row["status"] == "COMPLETED" and row["result"]["text"] for row in rows)


@pytest.fixture
def samples(wheel: Path, tmp_path: Path) -> list[str]:
    """The texts in Markdown among the samples inside the wheel."""
    archive = ZipFile(wheel)
    names = [name for name in archive.namelist() if name.startswith("app/samples/") and name.endswith(".md")]
    return [archive.extract(name, tmp_path) for name in names]


def test_the_data_are_where_interlock_home_says(installed: Installed, tmp_path: Path) -> None:
    done = installed.run("interlock", "migrate", INTERLOCK_HOME=str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (0, "The database is at head.\n")
    assert (tmp_path / "data" / "interlock.db").exists()


def test_the_worker_is_a_command(installed: Installed) -> None:
    shown = installed.run("interlock-worker", "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("Usage: interlock-worker [OPTIONS]")
