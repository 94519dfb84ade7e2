"""The text of documents of all kinds. A file that a library has to take apart is read in a child process.

A broken or hostile file may crash its reader, hang it or eat its memory: the child alone feels it, and the file is
told as unreadable, with the reason. Nothing here knows what a task is.
"""

from app.worker.extraction.extract import extract as extract
from app.worker.extraction.found import Extracted as Extracted
from app.worker.extraction.found import Unreadable as Unreadable
from app.worker.extraction.limits import Limits as Limits
