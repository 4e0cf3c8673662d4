"""Thoughts: what length rewards make of them, what their rest adds, and how they follow a stated budget."""
