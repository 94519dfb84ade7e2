"""Ids in the paths of routes: `<ident:batch_id>`."""

from werkzeug.routing import IntegerConverter, Map

from app.domain.ids import MOST_DIGITS


class Ident(IntegerConverter):
    """An id in a path: plain digits, at most as many as a database's integer holds. Any other text answers 404."""

    regex = rf"[0-9]{{1,{MOST_DIGITS}}}"  # a `max` alone answers 405 where a path has several methods

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=10**MOST_DIGITS - 1)
