"""Doing it: the process of a run, its directory and journal, and the dispatch of calls under a ceiling."""
