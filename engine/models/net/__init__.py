"""Where an endpoint is, and over which connections a request reaches it."""
