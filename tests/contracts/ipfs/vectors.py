"""The golden vectors of IPIP-499 and Kubo's ``test/cli/cid_profiles_test.go``, made again from their seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

CHUNK = 1024 * 1024
ALPHABET = "abcdefghijklmnopqrstuvwxyz01234567890-_"
HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
FILES = [
    ("chunk-v1-seed", CHUNK, "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta"),
    ("chunk-v1-seed", CHUNK + 1, "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64"),
]
GIGABYTE_FILES = [
    ("v1-2025-seed", 1024 * CHUNK, "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm"),
    ("v1-2025-seed", 1024 * CHUNK + 1, "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe"),
]
DIRECTORIES = [
    (21, "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4"),
    (22, "bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu"),
]


def key_stream(seed: str, size: int) -> Iterator[bytes]:
    """A ChaCha20 key stream with key sha256(seed) and a nonce of zeros, in pieces of 1 MiB."""
    stream = Cipher(algorithms.ChaCha20(hashlib.sha256(seed.encode()).digest(), bytes(16)), None).encryptor()
    for at in range(0, size, CHUNK):
        yield stream.update(bytes(min(CHUNK, size - at)))


def names(last_length: int) -> list[str]:
    """The 4,766 names of the directory vectors; every file in them holds ``x``."""
    letters = iter(b"".join(key_stream("hamt-unixfs-v1-2025", CHUNK)))
    lengths = [11] * 4765 + [last_length]
    return ["".join(ALPHABET[next(letters) % len(ALPHABET)] for _ in range(length)) for length in lengths]
