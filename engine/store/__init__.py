"""What is kept: one DuckDB file, opened for one act and closed again; the only room that imports duckdb."""
