"""The suite; mirrors the rooms of the engine and the dashboard."""
