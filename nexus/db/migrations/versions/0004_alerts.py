"""Alerts: what failed, who was told, when it was well again."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ALERTS = """
create table nexus_analytics.alerts (
  id uuid primary key default gen_random_uuid(),
  kind text not null constraint alerts_kind_check check (kind in ('run', 'check', 'freshness')),
  subject text not null constraint alerts_subject_check check (length(subject) between 1 and 300),
  severity text not null constraint alerts_severity_check check (severity in ('warn', 'error')),
  message text not null check (length(message) <= 2000),
  details jsonb not null default '{}' check (jsonb_typeof(details) = 'object'),
  source_id text not null,
  occurrences integer not null default 1 check (occurrences > 0),
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  resolved_at timestamptz,
  resolved_by text,
  delivered_at timestamptz,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  delivery_failure text
);
comment on table nexus_analytics.alerts is 'What failed; one open row a subject, closed when it is well again.';
comment on column nexus_analytics.alerts.source_id is 'The event that raised it last: the same event again changes nothing.';
create unique index alerts_open on nexus_analytics.alerts (kind, subject) where resolved_at is null;
create index alerts_time on nexus_analytics.alerts (last_at desc);
grant select, insert, update on nexus_analytics.alerts to nexus_pipeline;
grant select on nexus_analytics.alerts to nexus_api, nexus_worker, nexus_reader;
"""


def upgrade() -> None:
    run_script(ALERTS)


def downgrade() -> None:
    run_script("drop table nexus_analytics.alerts")
