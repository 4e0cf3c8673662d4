"""One trial: the session that is a strategy's only door to a model, and the solving of one planned trial."""
