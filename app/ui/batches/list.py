"""The list of batches: in sections, or filtered by state and name; sort order and pages."""

from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from app.domain.roles import READERS
from app.domain.transitions import ACTIONS, BatchState
from app.services.reads.batch_list import OTHERS, Listed
from app.services.reads.batches import MOST_AT_ONCE, Filter, Sort
from app.ui import filters
from app.ui.access import may_operate, page
from app.ui.fragments import fragments
from app.ui.query import cursor, is_fragment
from app.web.services import services

routes = Blueprint("ui_batches", __name__)
for each in filters.FILTERS:
    routes.add_app_template_filter(each)


class ListQuery(NamedTuple):
    """The filter and the sort order in an address or a form. Unknown values are ignored."""

    filter: Filter
    sort: Sort

    @classmethod
    def of(cls, values: Any) -> "ListQuery":
        state, sort = values.get("state", ""), values.get("sort", "")
        wanted = BatchState(state) if state in set(BatchState) else None
        name = values.get("name", "").strip()[:200].replace("\0", "")
        return cls(Filter(wanted, name), Sort(sort) if sort in set(Sort) else Sort.NEWEST)

    def address_query(self, **changes: Any) -> dict[str, Any]:
        """Give the query of an address for the same list, with `changes`."""
        kept = {"state": self.filter.state, "name": self.filter.name, "sort": self.sort, **changes}
        return {name: str(value) for name, value in kept.items() if value and value is not Sort.NEWEST}


@page(routes, "GET", "/", roles=READERS)
def index() -> str:
    """Show the batches: in sections, or a page of those that match a filter."""
    query, after = ListQuery.of(request.args), cursor("after")
    if not is_fragment():
        return _render("batches/list.html", query, after)
    key = ("list", request.url_root, query, after, may_operate(), services().reads.audit.newest())
    return fragments().shared(key, None, lambda: _render("batches/_list.html", query, after))


def _render(template: str, query: ListQuery, after: int | None) -> str:
    counts = services().reads.batches.counts(query.filter.name)
    sections, next_cursor = _sections(query, after)
    matching = sum(counts.values()) if query.filter.state is None else counts[query.filter.state]
    return render_template(
        template,
        query=query,
        after=after,
        sections=sections,
        next_cursor=next_cursor,
        counts=counts,
        matching=matching,
        sorts=list(Sort),
        actions=ACTIONS,
        most=MOST_AT_ONCE,
    )


def _sections(query: ListQuery, after: int | None) -> tuple[dict[str, list[Listed]], int | None]:
    """Give the rows below the heading of each section; a list that is filtered or sorted has no headings."""
    reader = services().reads.batch_list
    if query != ListQuery(Filter(), Sort.NEWEST):
        rows, next_cursor = reader.page(query.filter, query.sort, after)
        return ({"": rows} if rows else {}), next_cursor
    if after is not None:
        rows, next_cursor = reader.page(Filter(states=OTHERS), query.sort, after)
        return ({"All others": rows} if rows else {}), next_cursor
    found = reader.sections()
    sections = {"Needs you": found.needs_you, "Running": found.running, "All others": found.others}
    return {name: rows for name, rows in sections.items() if rows}, found.next_cursor
