"""Mints: what was decided for each, the token when it is final; replacements of minting keys."""

from __future__ import annotations

from nexus.db.migrate import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TOKENS = """
alter table nexus_web3.nft_content
  add column chain_id bigint check (chain_id > 0),
  add column tx_hash text check (tx_hash ~ '^0x[0-9a-f]{64}$'),
  add column block_number bigint check (block_number >= 0),
  add column block_hash text check (block_hash ~ '^0x[0-9a-f]{64}$'),
  add column metadata_cid text check (length(metadata_cid) <= 200),
  add column manifest jsonb check (jsonb_typeof(manifest) = 'object'),
  add column manifest_signature text,
  add column manifest_public_key text,
  add column operation_id text,
  add constraint nft_content_proof_check check (num_nulls(chain_id, tx_hash, block_number, metadata_cid) in (0, 4)),
  add constraint nft_content_once unique (content_id, chain_id, contract_address);
comment on column nexus_web3.nft_content.manifest_signature is 'Ed25519 over the canonical JSON of the manifest, hexadecimal.';
comment on column nexus_web3.nft_content.tx_hash is 'The transaction that minted it, final when the row was written.';
grant insert, update on nexus_web3.nft_content to nexus_worker;
grant select on nexus_web3.nft_content to nexus_api, nexus_pipeline;
"""

MINTS = """
create table nexus_web3.mints (
  chain_id bigint not null check (chain_id > 0),
  contract_address nexus_core.evm_address not null,
  content_id uuid not null references nexus_core.content (id),
  operation_id text not null,
  run_id text not null,
  transaction_key text not null constraint mints_transaction_key unique,
  to_address nexus_core.evm_address not null,
  royalty_bps integer check (royalty_bps between 0 and 10000),
  token_id numeric(78, 0) not null check (token_id between 0 and 2 ^ 256::numeric - 1),
  metadata bytea not null check (octet_length(metadata) between 2 and 1048576),
  metadata_cid text not null check (length(metadata_cid) <= 200),
  is_pinned boolean not null default false,
  manifest_signature text,
  manifest_public_key text,
  created_at timestamptz not null default now(),
  primary key (chain_id, contract_address, content_id),
  constraint mints_token unique (chain_id, contract_address, token_id)
);
comment on table nexus_web3.mints is
  'What a mint is going to do, decided once. A row outlives its operation only when there is a token.';
comment on column nexus_web3.mints.metadata is 'The canonical JSON whose CID the token id is; the title may change later.';
create index mints_cid on nexus_web3.mints (metadata_cid);
grant select, insert, update, delete on nexus_web3.mints to nexus_worker;
grant select on nexus_web3.mints to nexus_api, nexus_pipeline, nexus_reader;
"""

ROTATIONS = """
create table nexus_web3.rotations (
  operation_id text not null,
  chain_id bigint not null check (chain_id > 0),
  contract_address nexus_core.evm_address not null,
  old_address nexus_core.evm_address not null,
  new_address nexus_core.evm_address not null,
  swept_wei numeric(78, 0) not null default 0 check (swept_wei >= 0),
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (operation_id, old_address)
);
comment on table nexus_web3.rotations is 'Which minting key gave way to which. One replacement at a time on a chain.';
create unique index rotations_open on nexus_web3.rotations (chain_id) where finished_at is null;
grant select, insert, update on nexus_web3.rotations to nexus_worker;
grant select on nexus_web3.rotations to nexus_api, nexus_pipeline, nexus_reader;
"""


def upgrade() -> None:
    run_script(TOKENS)
    run_script(MINTS)
    run_script(ROTATIONS)


def downgrade() -> None:
    run_script("drop table nexus_web3.rotations, nexus_web3.mints")
    run_script("""
        alter table nexus_web3.nft_content drop constraint nft_content_once,
          drop column operation_id, drop column manifest_public_key, drop column manifest_signature,
          drop column manifest, drop column metadata_cid, drop column block_hash, drop column block_number,
          drop column tx_hash, drop column chain_id;
        revoke insert, update on nexus_web3.nft_content from nexus_worker;
        revoke select on nexus_web3.nft_content from nexus_api, nexus_pipeline;
    """)
