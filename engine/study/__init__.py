"""What shall be run and what it will cost: the study file, its plan, bounds and predictions."""
