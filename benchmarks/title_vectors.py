"""Text vectors of the titles of a MovieLens folder, for ``bin/nexus train content --vectors``.

    .venv/bin/python -m benchmarks.title_vectors FOLDER FILE.npz [--texts ABSTRACTS.json.gz]

The platform's own encoder reads what it reads of a title in the library: name, year, genres and, where ``--texts`` (a JSON
object of text by title id) has one, what it is about. Tags are left out: viewers wrote them who had met the title.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np

from media.text.describe import describe
from media.text.embedder import TextEmbedder
from nexus.settings import load
from training.files import layouts, titles


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--texts", type=Path)
    given = parser.parse_args()
    found = layouts.find(given.folder)
    named = titles.names(found.titles, found.titles_name)
    facts = {row[0]: row for row in titles.read(found.titles, found.titles_name).iter_rows()}
    texts = {} if given.texts is None else json.loads(gzip.decompress(given.texts.read_bytes()))
    said = [describe(named[name], facts[name][1], facts[name][2], texts.get(name)) for name in facts]
    started = time.monotonic()
    vectors = TextEmbedder.load(load().home / "models").embed(said)
    np.savez(given.out, ids=np.array(list(facts)), vectors=vectors)
    print(f"{len(said)} titles, {sum(name in texts for name in facts)} with a text, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
