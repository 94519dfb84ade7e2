"""Reads a multipart body whose one file is written on as it is read, however large it is."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from flask import request
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from app.v1.errors import ApiError, missing
from app.web import large_bodies

READ_BYTES = 256 * 1024
MOST_FIELD_BYTES = 256 * 1024  # of all fields together
MOST_FIELDS = 100
OVERHEAD_BYTES = 64 * 1024  # of a multipart body, beside its file


class Writer(Protocol):
    def write(self, data: bytes) -> None: ...


class Form:
    """The fields of a multipart body, and the name of its file."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None


def read_form(file_field: str, open_writer: Callable[[], Writer], most_bytes: int) -> Form:
    """Read the body; the bytes of the file named `file_field` are written to what `open_writer` opens.

    Raises ApiError, RequestEntityTooLarge.
    """
    large_bodies.is_in_a_file()
    request.max_content_length = most_bytes + OVERHEAD_BYTES
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise ApiError(HTTPStatus.BAD_REQUEST, "Send the file as multipart/form-data.")
    decoder = MultipartDecoder(boundary.encode(), MOST_FIELD_BYTES + READ_BYTES, max_parts=MOST_FIELDS)
    reader = _Reader(file_field, open_writer)
    try:
        for data in iter(lambda: request.stream.read(READ_BYTES), b""):
            decoder.receive_data(data)
            _drain(decoder, reader)
        decoder.receive_data(None)
        _drain(decoder, reader)
    except ValueError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"The multipart body cannot be read: {error}.") from error
    if reader.form.filename is None:
        raise missing(file_field)
    return reader.form


class _Reader:
    """Puts each piece of the body where it belongs."""

    def __init__(self, file_field: str, open_writer: Callable[[], Writer]) -> None:
        self.form = Form()
        self._file_field = file_field
        self._open_writer = open_writer
        self._writer: Writer | None = None  # of the part that is read, if it is the file
        self._name: str | None = None  # of the part that is read, if it is a field
        self._value = bytearray()
        self._field_bytes = 0

    def take(self, event: object) -> None:
        if isinstance(event, File):
            self._name, self._writer = None, None
            if event.name == self._file_field and self.form.filename is None:
                self.form.filename = event.filename
                self._writer = self._open_writer()
        elif isinstance(event, Field):
            self._name, self._writer = event.name, None
            self._value.clear()
        elif isinstance(event, Data):
            self._take_data(event)

    def _take_data(self, event: Data) -> None:
        if self._writer is not None:
            self._writer.write(event.data)
        elif self._name is not None:
            self._value += event.data
            self._field_bytes += len(event.data)
            if self._field_bytes > MOST_FIELD_BYTES:
                raise ValueError("its fields are too large")
            if not event.more_data:
                self.form.fields[self._name] = self._value.decode(errors="replace")


def _drain(decoder: MultipartDecoder, reader: _Reader) -> None:
    while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
        reader.take(event)
