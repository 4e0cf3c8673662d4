"""The two halves of Budgets."""
