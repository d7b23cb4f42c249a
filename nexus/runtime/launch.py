"""Becomes one part: reads its command from a file and replaces itself with it.

Run by supervisord with the bare interpreter (no site packages: 15 ms), so that passwords stand in a file which only the
owner reads and not in supervisord's configuration. Belongs here: nothing else.
"""

import json
import os
import sys
from pathlib import Path


def main(path: str) -> None:
    """Read the command, take on its identity, and exec it."""
    command = json.loads(Path(path).read_text())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    environment.update(command["env"])
    os.chdir(command["cwd"])
    if command["user"] is not None:
        os.setgroups([])
        os.setgid(command["user"])
        os.setuid(command["user"])
    os.umask(0o077)
    sys.stdout.flush()
    os.execvpe(command["argv"][0], command["argv"], environment)  # noqa: S606 - the command is our own


if __name__ == "__main__":
    main(sys.argv[1])
