"""Makes `dossiers.jsonl` of the three files beside it: one text among six others of its file, asked about alone.

    python examples/texts/dossiers.py

A document of a thousand tokens and more for strategies that read less of it. The same every time it is made.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOMAINS = ("finance", "medicine", "science")
EACH, TEXTS = 40, 7
"""Questions of a domain, and texts in a dossier."""


def main() -> None:
    """Write the file."""
    rng = random.Random(20261128)
    lines = []
    for domain in DOMAINS:
        notes = [json.loads(line) for line in (HERE / f"{domain}.jsonl").read_text(encoding="utf-8").splitlines()]
        for asked in rng.sample(notes, EACH):
            others = rng.sample([note for note in notes if note["id"] != asked["id"]], TEXTS - 1)
            dossier = [asked, *others]
            rng.shuffle(dossier)
            begins = " ".join(asked["text"].split()[:7])
            lines.append(
                {
                    "id": f"dossier-{asked['id']}",
                    "text": "\n\n".join(f"--- {note['id']} ---\n\n{note['text']}" for note in dossier),
                    "question": f'Of text {asked["id"]}, which begins "{begins}": {asked["question"]}',
                    "choices": asked["choices"],
                    "answer": asked["answer"],
                    "category": domain,
                }
            )
    written = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    (HERE / "dossiers.jsonl").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
