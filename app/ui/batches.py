"""The list of batches: tabs of the states with their counts, search, order, pages."""

from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from app.domain.roles import READERS
from app.domain.transitions import ACTIONS, BatchState
from app.services.reads.batches import MOST_AT_ONCE, Filter, Sort
from app.ui import filters
from app.ui.access import may_operate, page
from app.ui.fragments import fragments
from app.ui.query import cursor, is_fragment
from app.web.services import services

routes = Blueprint("ui_batches", __name__, template_folder="templates")
for each in filters.FILTERS:
    routes.add_app_template_filter(each)


class Asked(NamedTuple):
    """What a reader of the list asked for; words that are none ask for nothing."""

    filter: Filter
    sort: Sort

    @classmethod
    def of(cls, values: Any) -> "Asked":
        state, sort = values.get("state", ""), values.get("sort", "")
        wanted = BatchState(state) if state in set(BatchState) else None
        name = values.get("name", "").strip()[:200]
        return cls(Filter(wanted, name), Sort(sort) if sort in set(Sort) else Sort.NEWEST)

    def query(self, **changes: Any) -> dict[str, Any]:
        """Give the query of an address that asks for the same, but for `changes`."""
        kept = {"state": self.filter.state, "name": self.filter.name, "sort": self.sort, **changes}
        return {name: str(value) for name, value in kept.items() if value and value is not Sort.NEWEST}


@page(routes, "GET", "/", roles=READERS)
def index() -> str:
    """Show a page of batches."""
    asked, after = Asked.of(request.args), cursor("after")
    if not is_fragment():
        return _render("batches/list.html", asked, after)
    key = ("list", request.host, asked, after, may_operate(), services().queries.last_change())
    return fragments().shared(key, None, lambda: _render("batches/_list.html", asked, after))


def _render(template: str, asked: Asked, after: int | None) -> str:
    counts = services().batch_list.counts(asked.filter.name)
    rows, following = services().batch_list.page(asked.filter, asked.sort, after)
    matching = sum(counts.values()) if asked.filter.state is None else counts[asked.filter.state]
    return render_template(
        template,
        asked=asked,
        after=after,
        batches=rows,
        following=following,
        counts=counts,
        matching=matching,
        sorts=list(Sort),
        actions=ACTIONS,
        most=MOST_AT_ONCE,
    )
