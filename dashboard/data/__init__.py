"""What pages ask of the engine, cached by the state of the database; no widgets."""
