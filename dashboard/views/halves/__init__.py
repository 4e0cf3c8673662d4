"""Parts of pages: the two halves of Budgets, and what stands behind a pair on Compare."""
