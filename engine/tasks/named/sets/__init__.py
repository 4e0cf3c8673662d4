"""One file a public benchmark: where its rows lie, how they are asked and scored, and an example of our own."""
