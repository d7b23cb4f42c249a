"""``python -m nexus.cli``, which bin/nexus runs."""

import sys

from nexus.cli.main import main

sys.exit(main())
