"""Wallets and sign-in."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WALLETS = """
create table nexus_web3.wallets (
  address nexus_core.evm_address primary key,
  user_id uuid not null references nexus_core.users (id) on delete cascade,
  chain_id bigint not null constraint wallets_chain_check check (chain_id > 0),
  linked_at timestamptz not null default now()
);
comment on table nexus_web3.wallets is
  'Wallets whose owner proved to hold the key (EIP-4361), and the one viewer each is linked to.';
comment on column nexus_web3.wallets.chain_id is 'The chain that the proof named.';
create index wallets_user on nexus_web3.wallets (user_id);

create table nexus_web3.sign_in_nonces (
  nonce text primary key constraint sign_in_nonces_format check (nonce ~ '^[A-Za-z0-9]{16,64}$'),
  address nexus_core.evm_address not null,
  user_id uuid references nexus_core.users (id) on delete cascade,
  domain text not null check (length(domain) between 1 and 255),
  uri text not null check (length(uri) between 1 and 300),
  chain_id bigint not null check (chain_id > 0),
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  constraint sign_in_nonces_order_check check (expires_at > issued_at)
);
comment on table nexus_web3.sign_in_nonces is 'What was asked to be signed; the first use deletes the row, so a message counts once.';
create index sign_in_nonces_expiry on nexus_web3.sign_in_nonces (expires_at);
create index sign_in_nonces_user on nexus_web3.sign_in_nonces (user_id);

create table nexus_web3.wallet_sessions (
  token_hash bytea primary key constraint wallet_sessions_hash_check check (length(token_hash) = 32),
  address nexus_core.evm_address not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
comment on table nexus_web3.wallet_sessions is 'Who signed in. Of the token its SHA-256 only: who reads this table cannot use it.';
create index wallet_sessions_address on nexus_web3.wallet_sessions (address);
create index wallet_sessions_expiry on nexus_web3.wallet_sessions (expires_at);

grant usage on schema nexus_web3 to nexus_api, nexus_worker, nexus_reader;
grant select, insert, delete on nexus_web3.wallets, nexus_web3.sign_in_nonces, nexus_web3.wallet_sessions to nexus_api;
grant select on nexus_web3.wallets to nexus_worker, nexus_reader;
"""


def upgrade() -> None:
    run_script(WALLETS)


def downgrade() -> None:
    run_script(
        """
        drop table nexus_web3.wallet_sessions, nexus_web3.sign_in_nonces, nexus_web3.wallets;
        """
    )
