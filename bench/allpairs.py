"""The replaced duplicate search: TF-IDF of every text against every other one, with scikit-learn.

    <an environment with scikit-learn>/bin/python -m bench.allpairs < texts.json

Reads a list of texts as JSON; prints `{"seconds", "cpu_seconds", "pairs", "peak_mb"}`, pairs of cosine .85 and more.
Imports nothing of the project.
"""

from __future__ import annotations

import json
import resource
import sys
import time

_THRESHOLD = 0.85
# Rows that are compared with all others at a time: the whole matrix of 10,000 texts has 800 MB.
_ROWS = 1000


def main() -> None:
    """Compare every pair."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import cosine_similarity

    texts = json.load(sys.stdin)
    started, cpu = time.perf_counter(), time.process_time()
    vectors = TfidfVectorizer(stop_words="english").fit_transform(texts)
    pairs = []
    for start in range(0, len(texts), _ROWS):
        similar = cosine_similarity(vectors[start : start + _ROWS], vectors)
        for row, other in zip(*(similar >= _THRESHOLD).nonzero(), strict=True):
            if other < start + row:
                pairs.append((int(other), int(start + row)))
    result = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "pairs": pairs,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
