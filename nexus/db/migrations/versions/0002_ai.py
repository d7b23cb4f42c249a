"""Interactions (partitioned by month), embeddings and recommendations."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INTERACTIONS = """
create table nexus_ai.user_interactions (
  id uuid not null default gen_random_uuid(),
  event_id text not null check (length(event_id) between 1 and 128),
  user_id uuid not null references nexus_core.users (id),
  content_id uuid not null references nexus_core.content (id),
  interaction_type text not null constraint user_interactions_type_check check (interaction_type in
    ('view', 'rate', 'like', 'dislike', 'share', 'hide', 'unhide')),
  interaction_value double precision
    constraint user_interactions_value_check check (interaction_value between 0 and 5),
  context jsonb check (jsonb_typeof(context) = 'object'),
  occurred_at timestamptz not null default now(),
  received_at timestamptz not null default now(),
  source text not null default 'api',
  features vector(512),
  processed boolean not null default false,
  primary key (id, occurred_at)
) partition by range (occurred_at);
comment on table nexus_ai.user_interactions is
  'What viewers did, one row an event, one partition a month (UTC). The lake keeps the history; this serves it.';
comment on column nexus_ai.user_interactions.id is 'UUID version 5 of event_id: the same event can be stored once only.';
comment on column nexus_ai.user_interactions.interaction_value is 'rate: 0.5 to 5; view: share watched, 0 to 1; else null.';
comment on column nexus_ai.user_interactions.features is 'Room for learned features; not indexed (nexus_ai.embeddings is).';
create index user_interactions_user_time on nexus_ai.user_interactions (user_id, occurred_at desc);
create index user_interactions_content on nexus_ai.user_interactions (content_id);
create table nexus_ai.user_interactions_default partition of nexus_ai.user_interactions default;

create table nexus_ai.interaction_keys (id uuid primary key);
comment on table nexus_ai.interaction_keys is
  'Ids of all stored interactions: a partitioned table cannot promise by itself that an id is there once only.';

create table nexus_ai.hidden_titles (
  user_id uuid not null references nexus_core.users (id) on delete cascade,
  content_id uuid not null references nexus_core.content (id) on delete cascade,
  is_hidden boolean not null,
  changed_at timestamptz not null,
  primary key (user_id, content_id)
);
comment on table nexus_ai.hidden_titles is 'The newest word of a viewer on whether a title may be shown to them.';
"""

PARTITIONS = """
create function nexus_ai.ensure_interaction_partitions(first_at timestamptz, last_at timestamptz) returns integer
  language plpgsql security definer set search_path = pg_catalog set client_min_messages = warning as $$
declare
  month_start timestamp := date_trunc('month', first_at at time zone 'UTC');
  lower_at timestamptz;
  upper_at timestamptz;
  part text;
  created integer := 0;
begin
  if first_at is null or last_at is null or first_at > last_at
     or first_at < '1900-01-01Z' or last_at > now() + interval '5 years' then
    raise exception 'no such range of months: % to %', first_at, last_at using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(7306571002);
  while month_start <= last_at at time zone 'UTC' loop
    lower_at := month_start at time zone 'UTC';
    upper_at := (month_start + interval '1 month') at time zone 'UTC';
    part := 'user_interactions_' || to_char(month_start, 'YYYY_MM');
    if to_regclass('nexus_ai.' || part) is null then
      execute format('create table nexus_ai.%I (like nexus_ai.user_interactions including defaults including constraints)',
                     part);
      execute format('with moved as (delete from nexus_ai.user_interactions_default where occurred_at >= %L '
                     'and occurred_at < %L returning *) insert into nexus_ai.%I select * from moved',
                     lower_at, upper_at, part);
      execute format('alter table nexus_ai.user_interactions attach partition nexus_ai.%I for values from (%L) to (%L)',
                     part, lower_at, upper_at);
      created := created + 1;
    end if;
    month_start := month_start + interval '1 month';
  end loop;
  return created;
end $$;
comment on function nexus_ai.ensure_interaction_partitions is
  'Creates the missing monthly partitions of a range, taking over rows that waited in the default partition.';
revoke execute on function nexus_ai.ensure_interaction_partitions from public;
select nexus_ai.ensure_interaction_partitions(now(), now() + interval '12 months');
"""

VECTORS = """
create table nexus_ai.embeddings (
  content_id uuid not null references nexus_core.content (id) on delete cascade,
  model text not null,
  embedding vector(384) not null,
  text_hash text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (content_id, model)
);
comment on table nexus_ai.embeddings is 'Unit vectors of what titles say about themselves, per sentence model.';
comment on column nexus_ai.embeddings.text_hash is 'SHA-256 of the text that was embedded: tells what is stale.';
create index embeddings_cosine on nexus_ai.embeddings using hnsw (embedding vector_cosine_ops);
create function nexus_ai.drop_embedding_index() returns void language sql
  security definer set search_path = pg_catalog as 'drop index nexus_ai.embeddings_cosine';
create function nexus_ai.create_embedding_index() returns void language sql
  security definer set search_path = pg_catalog, public
  set maintenance_work_mem = '256MB' set max_parallel_maintenance_workers = 0 as
  'create index embeddings_cosine on nexus_ai.embeddings using hnsw (embedding vector_cosine_ops)';
comment on function nexus_ai.drop_embedding_index is
  'With create_embedding_index in one transaction: a first load builds the graph at once, not vector by vector.';
revoke execute on function nexus_ai.drop_embedding_index, nexus_ai.create_embedding_index from public;
create trigger embeddings_touch before update on nexus_ai.embeddings
  for each row execute function nexus_core.touch_updated_at();

create table nexus_ai.recommendations (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references nexus_core.users (id) on delete cascade,
  content_id uuid not null references nexus_core.content (id) on delete cascade,
  score double precision not null
    constraint recommendations_score_check check (score > '-infinity' and score < 'infinity'),
  source text not null constraint recommendations_source_check check (source in ('champion', 'content', 'popular')),
  algorithm_version text not null,
  reasoning jsonb not null default '{}',
  request_id text not null,
  generated_at timestamptz not null default now(),
  viewed boolean not null default false,
  feedback jsonb,
  constraint recommendations_once unique (request_id, user_id, content_id)
);
comment on table nexus_ai.recommendations is 'What was recommended to whom, by which version, and why.';
comment on column nexus_ai.recommendations.score is 'As the model gave it: comparable within one request only.';
create index recommendations_user_score on nexus_ai.recommendations (user_id, score desc);
create index recommendations_content on nexus_ai.recommendations (content_id);
create index recommendations_reasoning on nexus_ai.recommendations using gin (reasoning jsonb_path_ops);
"""

GRANTS = """
grant usage on schema nexus_ai to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant select on nexus_ai.user_interactions, nexus_ai.interaction_keys, nexus_ai.hidden_titles, nexus_ai.embeddings,
  nexus_ai.recommendations to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant insert on nexus_ai.user_interactions, nexus_ai.interaction_keys to nexus_api, nexus_pipeline;
grant insert, update on nexus_ai.hidden_titles to nexus_api, nexus_pipeline;
grant execute on function nexus_ai.ensure_interaction_partitions to nexus_pipeline;
grant insert, update, delete on nexus_ai.embeddings to nexus_worker, nexus_pipeline;
grant execute on function nexus_ai.drop_embedding_index, nexus_ai.create_embedding_index to nexus_pipeline;
grant insert on nexus_ai.recommendations to nexus_api, nexus_worker;
grant update (viewed, feedback) on nexus_ai.recommendations to nexus_api;
"""


def upgrade() -> None:
    for script in (INTERACTIONS, PARTITIONS, VECTORS, GRANTS):
        run_script(script)


def downgrade() -> None:
    run_script(
        """
        drop table nexus_ai.recommendations, nexus_ai.embeddings, nexus_ai.hidden_titles, nexus_ai.interaction_keys,
          nexus_ai.user_interactions;
        drop function nexus_ai.ensure_interaction_partitions, nexus_ai.drop_embedding_index,
          nexus_ai.create_embedding_index;
        revoke usage on schema nexus_ai from nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
        """
    )
