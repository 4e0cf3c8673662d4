"""Benchmarks: one command each, peers measured in the same run, figures as ratios; never asserted in a timed test."""
