"""Tokens, sessions, daily engagement and popularity."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WEB3 = """
create table nexus_web3.nft_content (
  id uuid primary key default gen_random_uuid(),
  content_id uuid not null references nexus_core.content (id),
  token_id numeric(78, 0) not null
    constraint nft_content_token_id_check check (token_id between 0 and 2 ^ 256::numeric - 1),
  contract_address nexus_core.evm_address not null,
  blockchain text not null check (blockchain ~ '^[a-z][a-z0-9-]{0,31}$'),
  creator_address nexus_core.evm_address not null,
  owner_address nexus_core.evm_address not null,
  price_wei numeric(78, 0) constraint nft_content_price_check check (price_wei between 0 and 2 ^ 256::numeric - 1),
  royalty_percentage numeric(5, 2)
    constraint nft_content_royalty_check check (royalty_percentage between 0 and 100),
  metadata_uri text check (length(metadata_uri) <= 2048),
  minted_at timestamptz not null default now(),
  constraint nft_content_token_key unique (contract_address, token_id, blockchain)
);
comment on table nexus_web3.nft_content is 'Tokens that stand for content, one row a token.';
comment on column nexus_web3.nft_content.token_id is 'A uint256.';
create index nft_content_owner on nexus_web3.nft_content (owner_address);
create index nft_content_content on nexus_web3.nft_content (content_id);
grant usage on schema nexus_web3 to nexus_worker, nexus_reader;
grant select on nexus_web3.nft_content to nexus_worker, nexus_reader;
"""

SESSIONS = """
create table nexus_analytics.user_sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references nexus_core.users (id) on delete set null,
  session_id varchar(100) not null constraint user_sessions_session_key unique,
  ip_address inet,
  user_agent text,
  device_type varchar(50),
  platform varchar(50),
  xr_device varchar(50),
  xr_features jsonb check (jsonb_typeof(xr_features) = 'object'),
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  duration_seconds integer generated always as (extract(epoch from ended_at - started_at)::integer) stored,
  constraint user_sessions_order_check check (ended_at >= started_at)
);
comment on table nexus_analytics.user_sessions is 'Visits: from which kind of device, how long.';
create index user_sessions_user_time on nexus_analytics.user_sessions (user_id, started_at desc);
create index user_sessions_xr_features on nexus_analytics.user_sessions using gin (xr_features jsonb_path_ops);
"""

STATISTICS = """
create table nexus_analytics.title_popularity (
  content_id uuid primary key references nexus_core.content (id) on delete cascade,
  interactions bigint not null check (interactions >= 0),
  interactions_90d bigint not null check (interactions_90d >= 0),
  mean_value double precision check (mean_value between 0 and 5),
  popularity_score double precision not null check (popularity_score >= 0 and popularity_score < 'infinity'),
  updated_at timestamptz not null default now()
);
comment on table nexus_analytics.title_popularity is 'How much a title is watched, as of the last run of the pipeline.';
create index title_popularity_score on nexus_analytics.title_popularity (popularity_score desc);

create materialized view nexus_analytics.daily_engagement as
  select (occurred_at at time zone 'UTC')::date as day, interaction_type, count(*) as interactions,
    count(distinct user_id) as viewers, count(distinct content_id) as titles, avg(interaction_value) as mean_value
  from nexus_ai.user_interactions group by 1, 2;
comment on materialized view nexus_analytics.daily_engagement is 'Interactions, viewers and titles per day (UTC) and type.';
create unique index daily_engagement_key on nexus_analytics.daily_engagement (day, interaction_type);

create function nexus_analytics.refresh_daily_engagement() returns void language sql
  security definer set search_path = pg_catalog as
  'refresh materialized view concurrently nexus_analytics.daily_engagement';
comment on function nexus_analytics.refresh_daily_engagement is 'Recomputes daily_engagement; readers do not wait.';
revoke execute on function nexus_analytics.refresh_daily_engagement from public;
"""

GRANTS = """
grant usage on schema nexus_analytics to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant select on nexus_analytics.title_popularity, nexus_analytics.daily_engagement
  to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant select on nexus_analytics.user_sessions to nexus_api, nexus_reader;
grant insert, update on nexus_analytics.user_sessions to nexus_api;
grant insert, update, delete on nexus_analytics.title_popularity to nexus_pipeline;
grant execute on function nexus_analytics.refresh_daily_engagement to nexus_pipeline;
"""


def upgrade() -> None:
    for script in (WEB3, SESSIONS, STATISTICS, GRANTS):
        run_script(script)


def downgrade() -> None:
    run_script(
        """
        drop materialized view nexus_analytics.daily_engagement;
        drop function nexus_analytics.refresh_daily_engagement;
        drop table nexus_analytics.title_popularity, nexus_analytics.user_sessions, nexus_web3.nft_content;
        revoke usage on schema nexus_web3, nexus_analytics from nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
        """
    )
