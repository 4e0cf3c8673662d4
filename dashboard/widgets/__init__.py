"""Controls that several pages share, tied to the address of the page."""
