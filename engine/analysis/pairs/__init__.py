"""One setting against another on the questions both have: flips, equal spend, a month's savings, and who pays."""
