"""Texts as the tokens models read: cut and counted, what they cost and fill, and those of a call part by part."""
