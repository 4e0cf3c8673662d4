"""What each strategy's paper says it does, one test a mechanism, against scripted models that play along."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from math import comb
from typing import Any

import pytest

from engine.core.answers import Votes, beta_rule, listed
from engine.core.records import Request, Trial
from engine.models.scripted import Script
from engine.strategies import build, entries, registry
from engine.strategies.chain import chain_prompt, rating_in
from engine.strategies.plan_and_budget import shares
from engine.trial.session import NotAnOracle
from tests.support.trials_on_paper import QUESTION, fixed, model, play


def run(name: str, script: Script, **knobs: object) -> Trial:
    """One trial without a wall to speak of."""
    return play(build(name, knobs), "calls", 10**6, model(script))


def roles(trial: Trial) -> list[str]:
    return [call.role for call in trial.calls]


def asked(trial: Trial, at: int = -1) -> str:
    return trial.calls[at].messages[-1].content


def by_role(**said: str | Callable[[Request], str]) -> Script:
    """Says what fits the words of the last turn: each key is a word of it, `other` is for the rest."""

    def say(request: Request, rng: random.Random) -> str:
        last = request.messages[-1].content
        found = next((text for word, text in said.items() if word.replace("_", " ") in last), said.get("other", ""))
        return found(request) if callable(found) else found

    return say


DRAWS = [
    "best_of_n",
    "self_confident",
    "confidence_vote",
    "adaptive_consistency",
    "early_stopping",
    "multi_agent_debate",
    "reflexion",
    "reflexion_oracle",
    "progressive_hint",
]


@pytest.mark.parametrize("name", DRAWS)
def test_its_first_call_is_draw_0_of_the_shared_chain(name: str) -> None:
    first = run(name, fixed("Answer: B")).calls[0]
    chain = run("chain_of_thought", fixed("Answer: B")).calls[0]
    assert first.messages == chain_prompt(QUESTION.problem) and first.key == chain.key


@pytest.mark.parametrize(("first", "second", "chance"), [(3, 0, 0.9375), (4, 0, 0.96875), (6, 1, 0.96484375)])
def test_the_beta_rule_gives_the_published_chances(first: int, second: int, chance: float) -> None:
    assert beta_rule(first, second) == chance
    tosses = first + second + 1
    assert beta_rule(first, second) == sum(comb(tosses, k) for k in range(first + 1)) / 2**tosses


def test_adaptive_consistency_stops_after_four_chains_that_agree() -> None:
    assert len(run("adaptive_consistency", fixed("Answer: A")).calls) == 4
    assert len(run("adaptive_consistency", fixed("Answer: B", *["Answer: A"] * 9)).calls) == 7


def test_votes_say_how_many_more_are_certain() -> None:
    votes = Votes()
    assert votes.due(0.95) == 4
    for answer in "AAA":
        votes.add(answer)
    assert (votes.due(0.95), votes.leader, votes.agreement) == (1, "A", 1.0)


def test_early_stopping_draws_whole_windows_until_one_is_unanimous() -> None:
    said = fixed("Answer: A", "Answer: B", "Answer: A", "Answer: C", *["Answer: B"] * 4)
    trial = run("early_stopping", said, samples=16, window=4)
    assert (len(trial.calls), trial.answer) == (8, "B")


def test_a_window_with_a_chain_that_states_nothing_is_not_unanimous() -> None:
    said = fixed("Answer: A", "a chain of more than sixty letters that comes to no end and states nothing at all")
    assert len(run("early_stopping", said, samples=6, window=2).calls) == 6


def test_best_of_n_keeps_the_answer_rated_highest_and_the_first_of_equals() -> None:
    ratings = {"A": "[[3]]", "B": "[[9]]", "C": "[[9]]"}
    said = by_role(
        How_likely=lambda r: ratings[r.messages[-2].content[-1]], other=lambda r: f"Answer: {'ABC'[r.draw % 3]}"
    )
    trial = run("best_of_n", said, samples=3)
    assert ([mark.answer for mark in trial.marks], roles(trial)) == (["A", "B"], ["solve", "judge"] * 3)


def _weighing(name: str, **knobs: object) -> str | None:
    """Two votes for A, of which the model is unsure, against one for B, of which it is sure."""
    said = by_role(
        How_likely=lambda r: "[[2]]" if r.messages[-2].content.endswith("A") else "[[9]]",
        Is_this=lambda r: "no" if r.messages[-2].content.endswith("A") else "yes",
        other=lambda r: f"Answer: {'ABA'[r.draw % 3]}",
    )
    return run(name, said, samples=3, **knobs).answer


def test_self_confidence_weighs_votes_by_number_or_by_yes_and_no() -> None:
    assert [_weighing("self_confident", levels=levels) for levels in (10, 2)] == ["B", "B"]
    assert _weighing("self_consistency") == "A"


def test_a_confidence_vote_trusts_ratings_when_sharp_and_counts_heads_when_soft() -> None:
    assert [_weighing("confidence_vote", softness=soft) for soft in (0.1, 100.0, 0.0)] == ["B", "A", "B"]


@pytest.mark.parametrize(("said", "rating"), [("[[7]]", 7), ("[[11]]", 1), ("seven", 1), ("", 1), ("[[10]]", 10)])
def test_a_rating_that_cannot_be_read_lifts_nothing(said: str, rating: int) -> None:
    from engine.trial.session import Reply

    assert rating_in(Reply(said, False, 3, "text")) == rating


@pytest.mark.parametrize(("hardness", "chains"), [("[[2]]", 1), ("[[9]]", 4), ("no idea", 4)])
def test_difficulty_decides_between_one_chain_and_a_vote(hardness: str, chains: int) -> None:
    trial = run("difficulty_adaptive", by_role(How_hard=hardness, other="Answer: A"))
    assert roles(trial) == ["judge", *["solve"] * chains]


def test_debaters_read_the_others_and_keep_their_own_history() -> None:
    said = by_role(Compare="Answer: C", other=lambda r: f"Answer: {'AAB'[r.draw % 3]}")
    trial = run("multi_agent_debate", said, agents=3, rounds=2)
    assert [mark.answer for mark in trial.marks] == ["A", "C"]
    third = trial.calls[5].messages
    assert third[1].content == "Answer: B" and third[2].content.count("Answer: A") == 2


def test_the_input_of_a_debate_grows_with_the_square_of_its_agents_and_rounds() -> None:
    def spent(agents: int, rounds: int) -> int:
        trial = run("multi_agent_debate", fixed("so so so so so Answer: A"), agents=agents, rounds=rounds)
        return sum(call.spend.input_tokens for call in trial.calls)

    for totals in ([spent(agents, 2) for agents in (2, 4, 6, 8)], [spent(3, rounds) for rounds in (1, 2, 3, 4)]):
        steps = [after - before for before, after in pairwise(totals)]
        bends = {after - before for before, after in pairwise(steps)}
        assert len(bends) == 1 and bends.pop() > 0, totals


def test_reflexion_goes_on_until_the_model_calls_its_answer_right() -> None:
    said = by_role(
        Is_this=lambda r: "no" if len(r.messages) < 6 else "yes",
        went_wrong="I miscounted.",
        in_mind="Answer: A",
        other="Answer: B",
    )
    trial = run("reflexion", said, attempts=5)
    assert roles(trial) == ["solve", "judge", "reflect", "solve", "judge"]
    assert [mark.answer for mark in trial.marks] == ["B", "A"]
    assert "I miscounted." in [message.content for message in trial.calls[3].messages]


def test_the_oracle_stops_at_the_first_right_answer_and_costs_no_judgement() -> None:
    trial = run("reflexion_oracle", by_role(in_mind="Answer: A", went_wrong="hm", other="Answer: B"), attempts=9)
    assert (roles(trial), trial.answer, trial.verdict) == (["solve", "reflect", "solve"], "A", "right")


def test_only_oracles_are_told_what_is_right_and_their_names_say_so() -> None:
    async def curious(session: Any) -> Any:
        yield (await session.ask("?", 5)).text
        session.oracle("A")

    from tests.support.trials_on_paper import Does

    trial = play(Does(curious), "calls", 9, model(fixed("Answer: A")))
    assert trial.end == "failed" and NotAnOracle.__name__ in str(trial.error)
    assert {name for name, entry in entries().items() if entry.oracle} == {"reflexion_oracle"}
    with pytest.raises(ValueError, match="must say oracle"):
        registry.strategy("cheat", anytime=True, family="x", calls="1", oracle=True)


def test_hints_carry_the_answers_so_far_and_stop_when_two_agree() -> None:
    said = by_role(close=lambda r: "Answer: B", other="Answer: A")
    trial = run("progressive_hint", said, attempts=9)
    assert [mark.answer for mark in trial.marks] == ["A", "B"] and len(trial.calls) == 3
    assert asked(trial, 1).endswith("close to: A.") and asked(trial, 2).endswith("close to: A, B.")


def test_least_to_most_answers_parts_in_order_each_with_those_before() -> None:
    said = by_role(
        list_the_simpler="",
        List_the_simpler="1. How far?\n2. How fast?",
        How_fast="ten",
        How_far="nine",
        other="Answer: A",
    )
    trial = run("least_to_most", said)
    assert roles(trial) == ["plan", "part", "part", "solve"]
    assert "Q: How far?" in asked(trial, 2) and "Q: How fast?" not in asked(trial, 1)
    assert "Q: How far?" in asked(trial) and "Q: How fast?" in asked(trial)


def test_the_points_of_a_skeleton_do_not_see_each_other() -> None:
    trial = run("skeleton_of_thought", by_role(Outline="- one\n- two", Work_out=lambda r: "toil", other="Answer: A"))
    assert roles(trial) == ["plan", "part", "part", "solve"]
    assert "toil" not in asked(trial, 2) and asked(trial).count("toil") == 2


def test_plan_and_budget_gives_each_part_its_decaying_share() -> None:
    trial = run("plan_and_budget", by_role(List_the_steps="a\nb\nc", other="Answer: A"), parts_tokens=350, decay=0.5)
    assert [call.asked_tokens for call in trial.calls if call.role == "part"] == shares(350, 3, 0.5) == [200, 100, 50]
    assert "fewer than 200 tokens" in asked(trial, 1)


def test_the_tree_keeps_the_steps_valued_highest() -> None:
    said = by_role(
        Propose="good\nbad\nugly",
        How_likely=lambda r: "[[9]]" if "bad" in r.messages[-1].content else "[[2]]",
        other="Answer: A",
    )
    trial = run("tree_of_thoughts", said, depth=2, breadth=1, thoughts=3)
    assert roles(trial) == ["propose", *["value"] * 3, "propose", *["value"] * 3, "solve"]
    assert "bad" in asked(trial, 4) and "good" not in asked(trial, 4)


def test_self_ask_answers_its_follow_ups_and_stops_when_it_needs_none() -> None:
    said = by_role(no_more="Answer: A", Answer_that="It is 4.", Write_the_next="No follow-up", other="What is 2 + 2?")
    trial = run("self_ask", said, followups=5)
    assert roles(trial) == ["plan", "part", "plan", "solve"]
    assert [m.content for m in trial.calls[-1].messages if m.role == "assistant"] == ["What is 2 + 2?", "It is 4."]


def test_step_back_puts_the_principle_before_the_chain() -> None:
    trial = run("step_back", by_role(general_rule="Sums commute.", other="Answer: A"))
    assert roles(trial) == ["plan", "solve"] and "Sums commute." in asked(trial)


@pytest.mark.parametrize(("said", "words"), [("B", "equations"), ("c.", "abbreviations"), ("well, hm", "key words")])
def test_a_sketch_is_written_in_the_notation_the_model_chose(said: str, words: str) -> None:
    assert words in asked(run("sketch_of_thought", by_role(notation=said, other="Answer: A")))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("concise", "Be concise"),
        ("constrained", "at most 7 words"),
        ("chain_of_draft", "at most 7 words for each step"),
        ("plan_and_solve", "plan"),
    ],
)
def test_one_call_strategies_say_how_to_write(name: str, words: str) -> None:
    knobs = {"words": 7} if "words" in entries()[name].knobs else {}
    trial = run(name, fixed("Answer: A"), **knobs)
    assert words in asked(trial) and len(trial.calls) == 1


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. a\n2) b\n(3) c", ["a", "b", "c"]),
        ("- a\n\n* b", ["a", "b"]),
        ("", []),
        ("12 apples\n3 pears", ["12 apples", "3 pears"]),
    ],
)
def test_lists_are_read_without_their_bullets(text: str, items: list[str]) -> None:
    assert listed(text) == items


def test_the_catalogue_names_every_paper() -> None:
    assert len(entries()) >= 23


def thinking(*forced: str, ends_after: int | None = None) -> Script:
    """A model that thinks on as long as it may, and says these answers one after another where it is made to answer."""

    def say(request: Request, rng: random.Random) -> str:
        begun = request.messages[-1].content if request.messages[-1].role == "assistant" else ""
        slices = begun.count("hm") // 4
        if begun.endswith("Answer:"):
            return f" {forced[min(slices, len(forced)) - 1]}"
        return "\nAnswer: A" if ends_after is not None and slices >= ends_after else "hm " * 40

    return say


def test_stop_when_settled_ends_where_two_forced_answers_in_a_row_agree() -> None:
    trial = run("stop_when_settled", thinking("B", "A", "A", "B"), slice_tokens=4)
    assert roles(trial) == ["solve", "answer"] * 3
    assert trial.marks[-1].answer == "A"


def test_stop_when_settled_ends_with_the_thought_where_no_two_agree() -> None:
    trial = run("stop_when_settled", thinking("B", "C", ends_after=2), slice_tokens=4)
    assert roles(trial) == ["solve", "answer", "solve", "answer", "solve"]
    assert trial.marks[-1].answer == "A"
