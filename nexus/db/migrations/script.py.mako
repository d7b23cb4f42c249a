"""${message}."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    run_script("")


def downgrade() -> None:
    run_script("")
