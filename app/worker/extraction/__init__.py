"""Extracts the text of documents of many kinds. A file that needs a library is read in a child process.

A broken or hostile file may crash its reader, make it hang, or use up its memory. That harms only the child process;
the document is reported as unreadable, with the reason. Nothing here knows what a task is.
"""

from app.worker.extraction.found import Found as Found
from app.worker.extraction.found import Unreadable as Unreadable
from app.worker.extraction.limits import Limits as Limits
from app.worker.extraction.read import read as read
from app.worker.extraction.read import read_images as read_images
