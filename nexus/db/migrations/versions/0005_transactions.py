"""Transactions: lanes, intents, every signed payload, contracts in use."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SIGNERS = """
create table nexus_web3.signers (
  chain_id bigint not null check (chain_id > 0),
  address nexus_core.evm_address not null,
  role text not null constraint signers_role_check check (role ~ '^[a-z][a-z0-9_-]{0,31}$'),
  state text not null default 'active' constraint signers_state_check check (state in ('active', 'draining', 'retired')),
  first_nonce bigint not null check (first_nonce >= 0),
  next_nonce bigint not null constraint signers_nonce_check check (next_nonce >= first_nonce),
  needs_wei numeric(78, 0) check (needs_wei > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (chain_id, address)
);
comment on table nexus_web3.signers is 'Lanes: one row a key and chain; its row lock makes it the only one that gives out nonces.';
comment on column nexus_web3.signers.first_nonce is 'The nonce at which we took the key over; every nonce from here on has a row in transactions.';
comment on column nexus_web3.signers.needs_wei is 'What it lacked when it was last looked at; null: it has enough.';
create trigger signers_touch before update on nexus_web3.signers
  for each row execute function nexus_core.touch_updated_at();
"""

TRANSACTIONS = """
create table nexus_web3.transactions (
  id bigint generated always as identity primary key,
  chain_id bigint not null,
  key text not null check (length(key) between 1 and 256),
  kind text not null constraint transactions_kind_check check (kind in ('intent', 'fill', 'foreign')),
  role text not null,
  to_address nexus_core.evm_address not null,
  data bytea not null,
  value_wei numeric(78, 0) not null check (value_wei between 0 and 2 ^ 256::numeric - 1),
  payload_hash bytea not null check (length(payload_hash) = 32),
  gas_limit bigint not null check (gas_limit >= 21000),
  state text not null constraint transactions_state_check
    check (state in ('reserved', 'signed', 'sent', 'mined', 'final', 'failed', 'cancelled')),
  signer nexus_core.evm_address,
  nonce bigint check (nonce >= 0),
  is_cancelling boolean not null default false,
  tx_hash text check (tx_hash ~ '^0x[0-9a-f]{64}$'),
  block_number bigint check (block_number >= 0),
  block_hash text check (block_hash ~ '^0x[0-9a-f]{64}$'),
  is_reverted boolean,
  reason text check (length(reason) <= 2000),
  revision integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  final_at timestamptz,
  swept_at timestamptz,
  constraint transactions_idempotency unique (chain_id, key),
  constraint transactions_one_a_nonce unique (chain_id, signer, nonce),
  constraint transactions_lane foreign key (chain_id, signer) references nexus_web3.signers (chain_id, address),
  constraint transactions_slot_check check ((signer is null) = (nonce is null)),
  constraint transactions_has_slot_check check (nonce is not null or state in ('failed', 'cancelled')),
  constraint transactions_block_check check ((block_hash is null) = (block_number is null)),
  constraint transactions_mined_check check (state <> 'mined' or (tx_hash is not null and block_hash is not null))
);
comment on table nexus_web3.transactions is 'What was asked for, one row an idempotency key; fills of gaps and nonces that others used are rows too.';
comment on column nexus_web3.transactions.revision is 'Counts changes: who writes says which one it read, and loses when it is old.';
comment on column nexus_web3.transactions.gas_limit is 'Of the intent itself; a cancellation needs 21000.';
create index transactions_open on nexus_web3.transactions (chain_id, id)
  where state in ('reserved', 'signed', 'sent', 'mined');
create index transactions_open_lane on nexus_web3.transactions (chain_id, signer, nonce)
  where state in ('reserved', 'signed', 'sent', 'mined');
create index transactions_swept on nexus_web3.transactions (chain_id, final_at) where state in ('final', 'failed', 'cancelled');
create trigger transactions_touch before update on nexus_web3.transactions
  for each row execute function nexus_core.touch_updated_at();

create table nexus_web3.attempts (
  chain_id bigint not null,
  signer nexus_core.evm_address not null,
  nonce bigint not null check (nonce >= 0),
  number integer not null check (number >= 0),
  transaction_id bigint not null references nexus_web3.transactions (id),
  kind text not null constraint attempts_kind_check check (kind in ('intent', 'cancel', 'fill', 'adopted')),
  hash text not null check (hash ~ '^0x[0-9a-f]{64}$'),
  raw bytea check (length(raw) > 0),
  max_fee_wei numeric(78, 0) not null check (max_fee_wei >= 0),
  tip_wei numeric(78, 0) not null check (tip_wei >= 0),
  head bigint not null check (head >= 0),
  made_at timestamptz not null default now(),
  told_at timestamptz,
  accepted_at timestamptz,
  said text check (length(said) <= 500),
  primary key (chain_id, signer, nonce, number),
  constraint attempts_hash_key unique (chain_id, hash),
  constraint attempts_bytes_check check (raw is not null or kind = 'adopted')
);
comment on table nexus_web3.attempts is 'Every payload ever signed for a nonce, stored before it is sent; never changed, never deleted.';
comment on column nexus_web3.attempts.head is 'The newest block when it was signed.';
comment on column nexus_web3.attempts.said is 'What a node answered last.';
comment on column nexus_web3.attempts.told_at is 'When it was last sent to a node; accepted_at: when one first took it.';
create index attempts_transaction on nexus_web3.attempts (transaction_id, nonce);
"""

CONTRACTS = """
create table nexus_web3.contracts (
  chain_id bigint not null check (chain_id > 0),
  name text not null check (name ~ '^[A-Za-z][A-Za-z0-9_-]{0,63}$'),
  address nexus_core.evm_address not null,
  deployed_at timestamptz not null default now(),
  primary key (chain_id, name)
);
comment on table nexus_web3.contracts is 'Contracts in use, by chain.';
"""

GRANTS = """
grant usage on schema nexus_web3 to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant select on nexus_web3.signers, nexus_web3.transactions, nexus_web3.attempts, nexus_web3.contracts
  to nexus_api, nexus_worker, nexus_pipeline, nexus_reader;
grant insert, update on nexus_web3.signers, nexus_web3.transactions, nexus_web3.contracts to nexus_worker;
grant insert, update (told_at, accepted_at, said) on nexus_web3.attempts to nexus_worker;
"""


def upgrade() -> None:
    for script in (SIGNERS, TRANSACTIONS, CONTRACTS, GRANTS):
        run_script(script)


def downgrade() -> None:
    run_script(
        """
        drop table nexus_web3.contracts, nexus_web3.attempts, nexus_web3.transactions, nexus_web3.signers;
        revoke usage on schema nexus_web3 from nexus_api, nexus_pipeline;
        """
    )
