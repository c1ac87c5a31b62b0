"""The page's process as the local stack starts it: `python -m medloop.app.process.serve run main.py …`.

What the process does for everybody begins with it, not with the first visitor: corrections that
wait are sent, and the champion is loaded. The arguments are Streamlit's.
"""

from __future__ import annotations

import logging

from streamlit.web.cli import main

from medloop.app.process.backend import backend
from medloop.errors import MedloopError

if __name__ == "__main__":
    try:
        backend()
    except MedloopError as error:  # every visitor reads it on the page, too
        logging.getLogger("medloop").warning("%s", error)
    main()
