"""What everything stands on: records, budget, answers, ids, words for numbers; no I/O and no import of a room above."""
