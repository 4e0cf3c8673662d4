"""A run on several machines: trials in actors, and in the run's own process all that is true of it once.

`crew` is the run's side, `actor` the other, `wire` what they say to each other, `places` where actors can live.
"""
