"""The dashboard: reads what the engine stored and shows it; never spends a token by itself."""
