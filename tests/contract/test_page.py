"""The page itself: docs/contract.md says of table, refusals, failures, settings and sections what the code says."""

import re

from app.domain import transitions
from app.domain.failures import MESSAGES
from app.domain.picture.diagram import rule
from app.domain.roles import Role
from app.domain.transitions import (
    ADD_DOCUMENTS,
    ARCHIVE,
    CREATE,
    ERASE_DOCUMENT,
    ERASE_RUNS,
    PURGE,
    READ_INPUT,
    RENAME,
    REPLACE_DOCUMENT,
    REPLACE_INPUT,
    TABLE,
    BatchState,
    Edit,
)
from config import Config
from tests.contract.page import TEXT, fields, rows, section
from tests.docs.refusals import every_refusal
from tests.support.process import ROOT

EDITS = (ADD_DOCUMENTS, REPLACE_DOCUMENT, REPLACE_INPUT, ERASE_DOCUMENT, READ_INPUT, RENAME, ERASE_RUNS, ARCHIVE, PURGE)
PLACES = {"INTERLOCK_HOME", "DATABASE_URL_FILE", "ADMIN_TOKEN_FILE"}
CITATION = re.compile(r"\bcontract,? (\d)(?:(?:,| and) (\d))?", re.I)
SOURCES = [path for folder in ("app", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_the_table() -> None:
    """Contract 2: the page has each transition with its kind, its states and its guard, in the table's order."""
    found = [(trigger, *cells) for trigger, cells in rows("2. The state machine").items()]
    expected = [(t.trigger, t.kind.value, ", ".join(t.sources), t.target.value, rule(t) or "-") for t in TABLE]
    assert found == expected


def test_the_states() -> None:
    """Contract 2: seven states, in the order of a batch's life."""
    assert f"`{' '.join(BatchState)}`" in section("2. The state machine")


def test_the_edits() -> None:
    """Contract 2: each edit with the states that it is allowed in."""
    assert {name: cells[0] for name, cells in rows("Edits").items()} == {
        CREATE: "-",
        **{edit.trigger: ", ".join(edit.sources) for edit in EDITS},
    }


def test_no_edit_is_left_out() -> None:
    """Contract 2: the edits above are all that the domain has."""
    assert {each for each in vars(transitions).values() if isinstance(each, Edit)} == set(EDITS)


def test_the_failure_codes() -> None:
    """Contract 2: the codes of a FAILED batch."""
    assert fields("Failures") == set(MESSAGES)


def test_the_refusals() -> None:
    """Contract 5: every code of a refusal with its status, and no other."""
    found = {code: int(status) for code, (status,) in rows("Refusals").items()}
    assert found == {refusal.code: refusal.status for refusal in every_refusal()}


def test_the_roles() -> None:
    """Contract 5: the roles."""
    assert fields("Roles") == set(Role)


def test_the_settings() -> None:
    """Contract 6: every setting, with its default where the code has a plain one."""
    found = {name: cells[0].strip("`") for name, cells in rows("6. Running it").items() if name.isupper()}
    assert set(found) - PLACES == {name.upper() for name in Config.__dataclass_fields__}
    assert set(found) >= PLACES
    for name, field in Config.__dataclass_fields__.items():
        if name not in ("database_url", "admin_token", "currency"):
            value = int(field.default) if isinstance(field.default, bool) else field.default
            assert found[name.upper()] == str(value)


def test_every_citation_names_a_section() -> None:
    """Code and tests cite this page by section: "contract 4" has to be one of its sections."""
    sections = set(re.findall(r"^## (\d)\. ", TEXT, re.M))
    assert sections == set("123456")
    cited = {
        (str(path.relative_to(ROOT)), number)
        for path in SOURCES
        for pair in CITATION.findall(path.read_text(encoding="utf-8"))
        for number in filter(None, pair)
    }
    assert len(cited) > 50
    assert {(path, number) for path, number in cited if number not in sections} == set()
