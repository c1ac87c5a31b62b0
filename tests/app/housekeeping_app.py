"""The entry of `test_housekeeping`: the browser tests' site, in a hurry, telling what the process
still holds.

FOLDER/held.json has the number of uploaded files that the server keeps, of objects out of the
search for garbage, and of pictures that left memory.
"""

from __future__ import annotations

import gc
import json
import runpy
import sys
import threading
import time
from pathlib import Path

from streamlit import runtime

sys.path.insert(0, str(Path(__file__).parents[2]))

from medloop.app.kit.workbench import UploadedPicture
from medloop.app.process import housekeeping

KEPT_S = 1.0  # instead of two minutes


def tell(server: runtime.Runtime) -> None:
    file, gone = Path(sys.argv[1]) / "held.json", list[None]()
    UploadedPicture.__del__ = lambda picture: gone.append(None)  # type: ignore[attr-defined]
    while True:
        stored = server.uploaded_file_mgr.file_storage  # type: ignore[attr-defined]  # of the manager in memory
        files = sum(map(len, list(stored.values())))
        held = {"files": files, "settled": gc.get_freeze_count(), "gone": len(gone)}
        file.with_suffix(".new").write_text(json.dumps(held))
        file.with_suffix(".new").replace(file)
        time.sleep(0.1)


if housekeeping.EVERY_S > KEPT_S:  # the first run of the page
    housekeeping.EVERY_S = KEPT_S
    server = runtime.get_instance()
    server._session_mgr._session_storage._cache._ttl = KEPT_S
    threading.Thread(target=tell, args=(server,), daemon=True).start()

runpy.run_path(str(Path(__file__).with_name("site_app.py")))
