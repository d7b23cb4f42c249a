"""Extensions, schemas, viewers and content."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = """
create extension if not exists vector;
create extension if not exists pg_trgm;
create extension if not exists citext;

create schema nexus_core;
create schema nexus_ai;
create schema nexus_web3;
create schema nexus_analytics;
comment on schema nexus_core is 'Viewers and content: facts of now.';
comment on schema nexus_ai is 'Interactions, embeddings and recommendations.';
comment on schema nexus_web3 is 'Tokens on chains.';
comment on schema nexus_analytics is 'Sessions, engagement and popularity.';
revoke create on schema public from public;

create domain nexus_core.evm_address as text
  constraint evm_address_format check (value ~ '^0x[0-9a-f]{40}$');
comment on domain nexus_core.evm_address is 'Twenty bytes as 0x and 40 lower-case hex digits; EIP-55 case is for display.';

create function nexus_core.touch_updated_at() returns trigger language plpgsql
  set search_path = pg_catalog as $$
begin
  new.updated_at := now();
  return new;
end $$;
"""

USERS = """
create table nexus_core.users (
  id uuid primary key default gen_random_uuid(),
  username varchar(50) constraint users_username_key unique
    constraint users_username_check check (username ~ '^[A-Za-z0-9_.-]{1,50}$'),
  email citext constraint users_email_key unique
    constraint users_email_check check (length(email) <= 255 and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  password_hash text,
  profile_data jsonb not null default '{}' check (jsonb_typeof(profile_data) = 'object'),
  preferences jsonb not null default '{}' check (jsonb_typeof(preferences) = 'object'),
  ai_enabled boolean not null default true,
  personalization_level text not null default 'medium'
    constraint users_personalization_level_check check (personalization_level in ('none', 'low', 'medium', 'high')),
  wallet_address nexus_core.evm_address,
  web3_enabled boolean not null default false,
  data_sharing_consent jsonb not null default '{}' check (jsonb_typeof(data_sharing_consent) = 'object'),
  analytics_opt_in boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint users_account_has_a_name check (password_hash is null or username is not null or email is not null)
);
comment on table nexus_core.users is
  'Viewers. One that was imported or first seen in an event has an id and nothing else; an account adds a name.';
comment on column nexus_core.users.password_hash is 'Encoded hash of a slow function; null: no password login.';
comment on column nexus_core.users.personalization_level is 'none: popular titles only; low, medium, high: weight of the history.';
create index users_preferences on nexus_core.users using gin (preferences jsonb_path_ops);
create trigger users_touch before update on nexus_core.users
  for each row execute function nexus_core.touch_updated_at();

create table nexus_core.user_external_ids (
  issuer text not null check (issuer ~ '^[a-z][a-z0-9_.-]{0,31}$'),
  value text not null check (length(value) between 1 and 128),
  user_id uuid not null references nexus_core.users (id) on delete cascade,
  created_at timestamptz not null default now(),
  primary key (issuer, value)
);
comment on table nexus_core.user_external_ids is 'What others call a viewer: issuer:value, as in movielens:1.';
create index user_external_ids_user on nexus_core.user_external_ids (user_id);
"""

CONTENT = """
create table nexus_core.content (
  id uuid primary key default gen_random_uuid(),
  title varchar(500) not null check (length(title) > 0),
  content_type text not null constraint content_type_check check (content_type in
    ('movie', 'series', 'season', 'episode', 'short', 'trailer', 'clip', 'song', 'album', 'podcast', 'audiobook', 'other')),
  year smallint constraint content_year_check check (year between 1850 and 2200),
  genres text[] not null default '{}',
  overview text check (length(overview) <= 20000),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  file_path text,
  file_size bigint constraint content_file_size_check check (file_size >= 0),
  duration integer constraint content_duration_check check (duration >= 0),
  resolution varchar(20),
  codec_info jsonb,
  ai_analysis jsonb,
  content_warnings jsonb,
  scene_descriptions jsonb,
  ipfs_hash varchar(100),
  nft_token_id numeric(78, 0) check (nft_token_id between 0 and 2 ^ 256::numeric - 1),
  blockchain_address nexus_core.evm_address,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table nexus_core.content is 'Titles of a library: what can be watched, read or listened to.';
comment on column nexus_core.content.file_size is 'Bytes.';
comment on column nexus_core.content.duration is 'Seconds.';
comment on column nexus_core.content.metadata is 'What a source says beyond the columns; searched with @>.';
create index content_metadata on nexus_core.content using gin (metadata jsonb_path_ops);
create index content_ai_analysis on nexus_core.content using gin (ai_analysis jsonb_path_ops);
create index content_genres on nexus_core.content using gin (genres);
create index content_title_trigrams on nexus_core.content using gin (title gin_trgm_ops);
create trigger content_touch before update on nexus_core.content
  for each row execute function nexus_core.touch_updated_at();

create table nexus_core.content_external_ids (
  issuer text not null check (issuer ~ '^[a-z][a-z0-9_.-]{0,31}$'),
  value text not null check (length(value) between 1 and 128),
  content_id uuid not null references nexus_core.content (id) on delete cascade,
  created_at timestamptz not null default now(),
  primary key (issuer, value)
);
comment on table nexus_core.content_external_ids is 'What others call a title: issuer:value, as in imdb:tt0114709.';
create index content_external_ids_content on nexus_core.content_external_ids (content_id);
"""

GRANTS = """
grant usage on schema nexus_core to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant select (id, username, profile_data, preferences, ai_enabled, personalization_level, analytics_opt_in, created_at,
  updated_at) on nexus_core.users to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant insert (id) on nexus_core.users to nexus_api, nexus_pipeline;
grant update (preferences, ai_enabled, personalization_level, analytics_opt_in) on nexus_core.users to nexus_api;
grant select on nexus_core.user_external_ids to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant insert on nexus_core.user_external_ids to nexus_api, nexus_pipeline;
grant select on nexus_core.content, nexus_core.content_external_ids
  to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant insert, update on nexus_core.content to nexus_worker, nexus_pipeline;
grant insert on nexus_core.content_external_ids to nexus_worker, nexus_pipeline;
"""


def upgrade() -> None:
    for script in (SCHEMAS, USERS, CONTENT, GRANTS):
        run_script(script)


def downgrade() -> None:
    run_script(
        """
        drop schema nexus_analytics, nexus_web3, nexus_ai, nexus_core cascade;
        """
    )
