"""A tally is a dict of numbers that makes no object of any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.interop.tally import Tally

# Few of them, and all ends: keys that begin at one place of the array stand behind each other.
KEYS = st.one_of(
    st.integers(1, 400), st.integers(-(2**63), 2**63 - 1).filter(bool), st.integers(1, 9).map((64).__mul__)
)


@given(st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(-(2**31), 2**31 - 2))), max_size=400))
def test_a_tally_says_what_a_dict_says(acts: list[tuple[int, int | None]]) -> None:
    tally, plain = Tally(), dict[int, int]()
    for key, value in acts:
        assert tally.get(key, -7) == plain.get(key, -7)
        if value is not None:
            tally[key] = plain[key] = value
        else:
            assert tally.add(key) == plain.get(key, 0)
            plain[key] = plain.get(key, 0) + 1
    assert len(tally) == len(plain) and all(tally.get(key) == value for key, value in plain.items())
