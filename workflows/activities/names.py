"""The names under which activities are registered and called; a test holds both sides together."""

from __future__ import annotations

STORE_CONTENT = "store_content"
EMBED_CONTENT = "embed_content"
FIND_SIMILAR = "find_similar"
FIND_AUDIENCE = "find_audience"
PUBLISH_CONTENT = "publish_content"
CHANGE_REGISTRY = "change_registry"

ADVANCE_CALL = "advance_call"
VALIDATE_MINT = "validate_mint"
MAKE_METADATA = "make_metadata"
PIN_METADATA = "pin_metadata"
UNPIN_METADATA = "unpin_metadata"
SIGN_MANIFEST = "sign_manifest"
FIND_OWNER = "find_owner"
RECORD_TOKEN = "record_token"  # noqa: S105 - no secret
FORGET_MINT = "forget_mint"
PUBLISH_TOKEN = "publish_token"  # noqa: S105 - no secret
LIST_RELEASES = "list_releases"
LOOK_AT_PROPOSAL = "look_at_proposal"
BEGIN_ROTATION = "begin_rotation"
GRANT_SIGNER = "grant_signer"
SWITCH_SIGNER = "switch_signer"
DRAIN_SIGNER = "drain_signer"
REVOKE_SIGNER = "revoke_signer"
VERIFY_SIGNER = "verify_signer"
SWEEP_SIGNER = "sweep_signer"
END_ROTATION = "end_rotation"
MAKE_KEY = "make_key"
ACTIVATE_KEY = "activate_key"
REWRAP_SECRETS = "rewrap_secrets"
RETIRE_KEY = "retire_key"

KEYS = frozenset({MAKE_KEY, ACTIVATE_KEY, REWRAP_SECRETS, RETIRE_KEY})
WEB3 = frozenset(
    {
        ADVANCE_CALL,
        VALIDATE_MINT,
        MAKE_METADATA,
        PIN_METADATA,
        UNPIN_METADATA,
        SIGN_MANIFEST,
        FIND_OWNER,
        RECORD_TOKEN,
        FORGET_MINT,
        PUBLISH_TOKEN,
        LIST_RELEASES,
        LOOK_AT_PROPOSAL,
        BEGIN_ROTATION,
        GRANT_SIGNER,
        SWITCH_SIGNER,
        DRAIN_SIGNER,
        REVOKE_SIGNER,
        VERIFY_SIGNER,
        SWEEP_SIGNER,
        END_ROTATION,
    }
)
"""Those that wait for a chain or IPFS, on a queue of their own."""
ALL = frozenset({STORE_CONTENT, EMBED_CONTENT, FIND_SIMILAR, FIND_AUDIENCE, PUBLISH_CONTENT, CHANGE_REGISTRY}) | KEYS
