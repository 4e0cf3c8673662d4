"""`python -m tests.support.provider`: the provider as a process of its own."""

from tests.support.provider import main

main()
