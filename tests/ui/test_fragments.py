"""Fragments are shared by all who are to see the same, and never show an old version."""

import pytest
from flask import Flask
from lxml import html

from app.services import Services
from app.ui import fragments
from app.ui.fragments import Fragments
from tests.services import stories
from tests.support.client import ApiClient
from tests.support.statements import counted
from tests.ui.visits import FRAGMENT, one, read, visitor


def test_kept_while_nothing_moved_and_for_a_moment_if_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("app.ui.fragments.time.monotonic", lambda: clock[0])
    kept, rendered = Fragments(), iter("abcdefg")

    def shown(moved: object) -> str:
        return kept.shared("key", moved, lambda: next(rendered))

    assert [shown(1), shown(1), shown(2)] == ["a", "a", "a"]
    clock[0] += fragments.FRESH_SECONDS
    assert [shown(1), shown(2), shown(2)] == ["a", "b", "b"]
    clock[0] += fragments.KEPT_SECONDS
    assert [shown(2), shown(None), shown(None)] == ["c", "c", "c"]
    clock[0] += fragments.FRESH_SECONDS
    assert [shown(None), shown(None)] == ["d", "d"]
    clock[0] += fragments.FRESH_SECONDS
    assert shown(None) == "e"  # not known to stand still
    assert kept.shared("another key", 2, lambda: "f") == "f"


def test_no_more_are_kept_than_there_is_room_for() -> None:
    kept = Fragments()
    for number in range(fragments.MOST_KEPT + 1):
        kept.shared(number, None, lambda: "first")
    assert kept.shared(1, None, lambda: "second") == "first"
    assert kept.shared(0, None, lambda: "second") == "second"


def test_a_change_is_shown_at_once_and_what_one_role_sees_another_does_not(
    app: Flask, client: ApiClient, services: Services
) -> None:
    batch_id = stories.bring(services, "ANALYZING")
    operator, viewer = (visitor(app, client.tokens, role) for role in ("operator", "viewer"))
    path = f"/batches/{batch_id}/now"
    first = read(operator, path, headers=FRAGMENT)
    assert not read(viewer, path, headers=FRAGMENT).xpath("//button")
    assert first.xpath("//button")
    with counted(services) as statements:
        read(operator, path, headers=FRAGMENT)
    assert len(statements) <= 2
    stories.act(services, batch_id, "pause")
    version = int(one(first, "//@data-version"))
    assert int(one(read(operator, path, headers=FRAGMENT), "//@data-version")) == version + 1
    assert "PAUSED" in read(operator, "/", headers=FRAGMENT).text_content()
    stories.act(services, batch_id, "resume")
    assert "PAUSED 1" not in read(operator, "/", headers=FRAGMENT).text_content()


def test_a_part_that_shows_what_is_so_is_answered_without_a_body(
    app: Flask, client: ApiClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "KEPT_SECONDS", 1e12)
    monkeypatch.setattr(fragments, "FRESH_SECONDS", 0.0)
    batch_id = stories.bring(services, "ANALYZING", documents=2)
    operator, viewer = (visitor(app, client.tokens, role) for role in ("operator", "viewer"))
    path = f"/batches/{batch_id}/now"

    def answered(mark: str) -> tuple[int, str]:
        """Give the status of the answer, and the mark that it has."""
        with operator.get(path, headers={**FRAGMENT, "If-None-Match": f'"{mark}"'}) as answer:
            if answer.status_code == 304:
                assert answer.get_data() == b""
                return 304, mark
            return answer.status_code, str(one(html.fromstring(answer.text), "//*[@id='now']/@data-mark"))

    shown = str(one(read(operator, f"/batches/{batch_id}"), "//*[@id='now']/@data-mark"))
    assert answered(shown) == (304, shown)
    assert shown != one(read(viewer, f"/batches/{batch_id}"), "//*[@id='now']/@data-mark")
    stories.complete(services, stories.lease_one(services, batch_id))
    status, moved = answered(shown)
    assert (status, answered(moved)) == (200, (304, moved))
    stories.act(services, batch_id, "pause")
    status, paused = answered(moved)
    assert status == 200
    assert len({shown, moved, paused}) == 3
    head = f"/batches/{batch_id}/head?tab=tasks"
    mark = one(read(operator, head, headers=FRAGMENT), "//@data-mark")
    with operator.get(head, headers={**FRAGMENT, "If-None-Match": f'"{mark}"'}) as answer:
        assert answer.status_code == 304


def test_the_list_shows_progress(
    app: Flask, client: ApiClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "FRESH_SECONDS", 0.0)
    batch_id = stories.bring(services, "ANALYZING", documents=2)
    viewer = visitor(app, client.tokens, "viewer")
    assert "0 % of 2" in read(viewer, "/", headers=FRAGMENT).text_content()
    stories.complete(services, stories.lease_one(services, batch_id))  # no change of the batch, and no audit row
    assert "50 % of 2" in read(viewer, "/", headers=FRAGMENT).text_content()


@pytest.mark.parametrize("path", ["/?after=", "/batches/1/audit?before=", "/tokens?after="])
@pytest.mark.parametrize("cursor", ["9" * 30, "x", "-1"])
def test_an_unknown_cursor_means_the_first_page(
    app: Flask, client: ApiClient, services: Services, path: str, cursor: str
) -> None:
    stories.create(services)
    read(visitor(app, client.tokens, "admin"), path + cursor)
