"""What office files have in common: they are ZIP archives of XML parts, which may unpack to enormous sizes."""

import posixpath
import zipfile
import zlib
from functools import cache
from io import BytesIO
from typing import Any

from lxml import etree

from app.worker.extraction.found import ENCRYPTED, Unreadable, broken

MAX_ENTRIES = 10_000
MAX_UNPACKED_BYTES = 512 * 1024 * 1024


class Archive:
    """The parts of an office file. Opening it checks the list of parts, before any of them is unpacked."""

    def __init__(self, content: bytes, kind: str) -> None:
        """Raises Unreadable; `kind` is named in the reason."""
        self._kind = kind
        try:
            self._zip = zipfile.ZipFile(BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise broken(kind, error) from error
        entries = self._zip.infolist()
        if any(entry.flag_bits & 1 for entry in entries):
            raise Unreadable(ENCRYPTED)
        unpacked = sum(entry.file_size for entry in entries)  # zipfile unpacks no more of an entry than this
        if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED_BYTES:
            raise Unreadable(
                f"unpacks to {len(entries)} files of {unpacked} bytes together, "
                f"more than {MAX_ENTRIES} or {MAX_UNPACKED_BYTES}",
                too_large=True,
            )
        self._names = {entry.filename.replace("\\", "/").lower(): entry for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._names

    def names(self) -> list[str]:
        """Return the names of all parts."""
        return [entry.filename.replace("\\", "/") for entry in self._names.values()]

    def read(self, name: str) -> bytes:
        """Return the content of a part. Raises Unreadable."""
        try:
            return self._zip.read(self._names[name.lower()])
        except KeyError:
            raise broken(self._kind, f"it has no {name}") from None
        except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError) as error:
            raise broken(self._kind, error) from error

    def xml(self, name: str) -> Any:
        """Return the root element of a part. Raises Unreadable."""
        try:
            root = etree.fromstring(self.read(name), _parser())
        except etree.LxmlError as error:
            if "depth" in str(error):
                raise Unreadable("is nested too deeply") from error
            raise broken(self._kind, error) from error
        if getattr(root.getroottree().docinfo, "doctype", ""):
            raise broken(self._kind, f"{name} has a document type, which no office program writes")
        return root

    def optional_xml(self, name: str | None) -> Any:
        """Return the root element of a part that the file may lack; None then, or if it is broken."""
        try:
            return self.xml(name) if name and name in self else None
        except Unreadable:
            return None

    def related(self, part: str = "") -> dict[str, tuple[str, str]]:
        """Return what a part refers to: `{id: (last word of the type, name of the part)}`. '' is the file itself."""
        folder, name = posixpath.split(part)
        root = self.optional_xml(posixpath.join(folder, "_rels", f"{name}.rels"))
        found = {}
        for entry in root if root is not None else ():
            if isinstance(entry.tag, str) and entry.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/" + folder, entry.get("Target", ""))).lstrip("/")
                found[entry.get("Id", "")] = (entry.get("Type", "").rpartition("/")[2], target)
        return found

    def charts(self, part: str) -> dict[str, Any]:
        """Return the roots of the charts that a part refers to, by the ids in its references."""
        charts = {each: name for each, (kind, name) in self.related(part).items() if kind == "chart"}
        return {each: root for each, name in charts.items() if (root := self.optional_xml(name)) is not None}

    def main_part(self, usual: str) -> str:
        """Return the name of the part that holds the document; `usual` if the file does not say it."""
        stated = [target for kind, target in self.related().values() if kind == "officeDocument"]
        return next((name for name in stated if name in self), usual)

    def properties(self) -> dict[str, Any]:
        """Return the title and the language of the document, where its author gave them."""
        root = self.optional_xml("docProps/core.xml")
        found: dict[str, Any] = {}
        for element in root if root is not None else ():
            if (name := local(element.tag)) in ("title", "language") and (element.text or "").strip():
                found[name] = element.text.strip()
        return {"title": found.get("title"), "language": found.get("language")}


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )


@cache
def local(tag: Any) -> str:
    """Return the name of an element without its namespace: Strict files have other namespaces."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(element: Any, *path: str) -> Any:
    """Return the first element below, by local names; None if there is none."""
    for name in path:
        if not len(element):
            return None
        first = element[0]  # properties stand there, which are what is asked for most
        element = first if local(first.tag) == name else next(element.iterchildren("{*}" + name), None)
        if element is None:
            return None
    return element


def reference(element: Any) -> str:
    """Return the id by which an element refers to another part; '' if there is none."""
    return next((value for name, value in element.attrib.items() if name.startswith("{") and local(name) == "id"), "")


def attribute(element: Any, name: str = "val") -> str | None:
    """Return an attribute in the namespace of its element, or without one."""
    if element is None:
        return None
    found: str | None = element.get(element.tag[: element.tag.find("}") + 1] + name)
    return found if found is not None else element.get(name)
