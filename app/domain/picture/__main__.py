"""Print the picture: `python -m app.domain.picture > docs/states.svg`."""

import sys

from app.domain.picture.svg import as_svg

sys.stdout.write(as_svg())
