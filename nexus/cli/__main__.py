"""``python -m nexus.cli``, which bin/nexus runs."""

import atexit
import os
import sys

from nexus.cli.main import main

code = main()
if "temporalio" in sys.modules:
    # A thread of its client that still hands over an answer while Python ends aborts the process, with everything said
    # (temporalio 1.35, "PyGILState_Release: thread state must be current"): leave without that end.
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
sys.exit(code)
