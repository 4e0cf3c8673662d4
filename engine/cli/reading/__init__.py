"""Verbs that read what is stored and call no model."""
