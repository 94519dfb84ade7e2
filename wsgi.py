"""The WSGI application, for a WSGI server of your choice. `make run` does not use it: see app/server.

Such a server does not migrate the database: run `python -m app.cli migrate`. It does not start the sweeper either:
start `application.extensions["interlock"].sweeper` in each of its processes after the fork, or run `serve` as well.
"""

from app import create_app
from app.logging import configure
from config import Config

config = Config.from_environment()
configure(config.log_level)
application = create_app(config)
