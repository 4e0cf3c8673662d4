"""The verbs of the command line, one module per kind; `engine.cli` finds them and imports one of them per call.

Nothing here computes a result: the verbs ask the rooms below and show what they say.
"""
