"""``python -m nexus.cli``, which bin/nexus runs."""

import atexit
import os
import signal
import sys

from nexus.cli.main import main

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's background job is started deaf to Ctrl-C; its children would be too, and Dagster then copies that to
    # SIGTERM, so that nothing of it ends when it is asked to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
code = main()
if "temporalio" in sys.modules:
    # A thread of its client that still hands over an answer while Python ends aborts the process, with everything said
    # (temporalio 1.35, "PyGILState_Release: thread state must be current"): leave without that end.
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
sys.exit(code)
