"""What is asked of an open database: sums at any budget, prices, more draws of one request, whole lists and pages."""
