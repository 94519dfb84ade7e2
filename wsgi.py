"""The WSGI application, for a server of your own. `make run` does not need it: see app/server/.

Such a server runs neither migrations (`python -m app.cli migrate`) nor the sweeper: start
`app.extensions["interlock"].sweeper` in each of its processes after the fork, or let another `serve` sweep.
"""

from app import create_app
from app.logging import configure
from config import Config

config = Config.from_environment()
configure(config.log_level)
application = create_app(config)
