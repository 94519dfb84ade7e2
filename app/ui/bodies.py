"""Judges the body of a request for a page before it is parsed: its CSRF token, its size, its number of fields."""

from flask import abort, request
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from wtforms import ValidationError

CSRF_HEADER = "X-CSRFToken"
FORM_BYTES = 64 * 1024  # of a form that names its CSRF token in the body, or that needs no sign-in
MOST_FIELDS = 2_000  # of a form: a batch of 100 prompts and 100 models has some 720
_FORM = "application/x-www-form-urlencoded"


def judge_body(csrf: CSRFProtect, *, is_signed_in: bool, is_upload: bool) -> None:
    """Refuse a body that another site sent, or that is too large. Raises CSRFError, RequestEntityTooLarge.

    1. A long body, an upload or JSON needs the CSRF token in a header, which is checked before the body is read.
    2. Other bodies have up to FORM_BYTES. So do those of pages without sign-in: everybody gets a token there.
    3. A form has up to MOST_FIELDS fields: parsed, each takes some hundred bytes, in the body perhaps three.
    """
    token = request.headers.get(CSRF_HEADER)
    if token:
        _validate(token)
    elif is_upload:
        raise CSRFError(f"This body needs the header {CSRF_HEADER}.")
    if not (token and is_signed_in):
        request.max_content_length = FORM_BYTES
    if (request.content_length or 0) > (request.max_content_length or 0) and not is_upload:
        abort(413)
    if not is_upload:
        _limit_fields()
    if not token:
        csrf.protect()


def _validate(token: str) -> None:
    try:
        validate_csrf(token)
    except ValidationError as error:
        raise CSRFError(str(error)) from error


def _limit_fields() -> None:
    request.max_form_parts = MOST_FIELDS
    request.max_form_memory_size = request.max_content_length
    if request.mimetype == _FORM:
        body = request.get_data()
        request.stream.read(1)  # a body without a Content-Length was cut at the limit silently: this raises 413
        if body.count(b"&") >= MOST_FIELDS:
            abort(413, f"A form can have at most {MOST_FIELDS:,} fields.")
