"""The mutants themselves: each takes one rule away. Names say what the mutant does wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One place of the core, written wrongly."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Arguments of pytest that select what should fail."""


SESSION, TRIAL, BUDGET = "engine/trial/session.py", "engine/trial/solve.py", "engine/core/budget.py"
IDENTITY, POOL, DISPATCH = "engine/core/ids.py", "engine/run/completion_cache.py", "engine/run/dispatcher.py"
RATES, CHARGES, ALLOWANCE, LOOP = (
    "engine/run/rate_limits.py",
    "engine/models/charges.py",
    "engine/run/allowance.py",
    "engine/run/process.py",
)
JOURNAL, CHAIN = "engine/run/journal.py", "engine/strategies/chain.py"


def _in(room: str, only: str = "") -> tuple[str, ...]:
    file = f"tests/test_{room}.py"
    return (file, "-k", only) if only else (file,)


_COLLAPSE = _in("collapse", "largest_budget")

MUTANTS: tuple[Mutant, ...] = (
    # the session closes
    Mutant(
        "the closing reply is shown",
        SESSION,
        "            self._cut(turn, whole, replayed)\n",
        "            try:\n                self._cut(turn, whole, replayed)\n            except SessionClosed:\n"
        "                return Reply(completion.text, False, usage.output_tokens, self._context.kind)\n",
        _in("session", "never_shown"),
    ),
    Mutant(
        "a call after the closing one",
        SESSION,
        "        if self.closed:\n            raise SessionClosed(self.closed)\n",
        "",
        _in("session", "cheaper_call or swallows_the_end"),
    ),
    Mutant(
        "a yield after the close counts",
        TRIAL,
        "                if session.closed:\n                    break\n",
        "",
        _in("session", "swallows_the_end"),
    ),
    Mutant(
        "a cut reply is not stored",
        SESSION,
        '        self._append(replace(turn, call=call, granted=granted), "budget", replayed, whole.output_tokens, part)\n',
        "",
        _in("session", "closing_call"),
    ),
    Mutant(
        "a refused call is not stored",
        SESSION,
        "        self._append(turn, cut, False, None, Spend())\n        self.closed = cut\n",
        "        self.closed = cut\n",
        _in("session", "refused_unsent"),
    ),
    Mutant(
        "a failed call is not stored",
        SESSION,
        '            self._append(turn, "failed", False, None, Spend())\n',
        "",
        _in("prefetch", "gives_up"),
    ),
    Mutant(
        "a swallowed failure is forgotten",
        SESSION,
        '            self.closed = "failed"\n',
        "",
        _in("prefetch", "stays_failed"),
    ),
    Mutant(
        "the shown prefix is free",
        SESSION,
        "            self._ledger.charge(call, part)\n",
        "            pass\n",
        _COLLAPSE,
    ),
    Mutant("the whole reply is charged", SESSION, "clipped(whole, granted) if granted", "whole if granted", _COLLAPSE),
    # grants and walls
    Mutant(
        "greedy cap: the prompt is left out",
        BUDGET,
        "*self._rooms(call.model, self.high_water(call))",
        "*self._rooms(call.model, self._meter(call.model).metered_input_tokens)",
        _in("session", "granted_the_least"),
    ),
    Mutant(
        "reported input instead of the high-water mark",
        BUDGET,
        "high = max(meter.metered_input_tokens, before + bound, before + spend.input_tokens)",
        "high = before + spend.input_tokens",
        _COLLAPSE,
    ),
    Mutant(
        "an input overrun is not metered",
        BUDGET,
        "before + bound, before + spend.input_tokens)",
        "before + bound)",
        _in("metering", "more_input"),
    ),
    Mutant(
        "bound reserved but mark placed at reported spend",
        SESSION,
        "len(self.calls), self.spends))",
        "len(self.calls), tuple(replace(m, metered_input_tokens=m.spend.input_tokens) for m in self.spends)))",
        _COLLAPSE,
    ),
    Mutant(
        "other models do not count",
        BUDGET,
        "return {**self._meters, call.model: charged}",
        "return {call.model: charged}",
        _COLLAPSE,
    ),
    Mutant(
        "no call cap",
        SESSION,
        "        if len(self.calls) >= MAX_CALLS:\n",
        "        if len(self.calls) >= 2 * MAX_CALLS:\n",
        _in("metering", "price_of_nothing"),
    ),
    Mutant(
        "remaining is open to anytime strategies",
        SESSION,
        "        if self._context.anytime:\n",
        "        if False:\n",
        _in("metering", "remaining_fails"),
    ),
    Mutant(
        "refused before the context is looked at",
        SESSION,
        '        if await self._overflows(draft):\n            self._close(turn, "context")\n        if turn.granted < 1:\n'
        '            self._close(turn, "refused")\n',
        '        if turn.granted < 1:\n            self._close(turn, "refused")\n        if await self._overflows(draft):\n'
        '            self._close(turn, "context")\n',
        _in("session", "context_window"),
    ),
    Mutant(
        "a loose bound fills the context window",
        SESSION,
        "prompt = bound.tokens if bound.exact else model.least(draft.messages)",
        "prompt = bound.tokens",
        _in("session", "loose_bound_alone"),
    ),
    Mutant(
        "a full window fails the trial",
        SESSION,
        '        except ContextOverflow:\n            self._close(turn, "context")\n',
        "",
        _in("session", "finds_the_window"),
    ),
    Mutant(
        "the learned count is dropped",
        SESSION,
        "        if where in self._counted:\n",
        "        if False:\n",
        _in("metering", "becomes_the_providers_count"),
    ),
    Mutant(
        "the learned count is shared by trials",
        SESSION,
        "self._counted: dict[tuple[str, Prompt], int] = {}",
        'self._counted = identity.__dict__.setdefault("shared", {})',
        _in("metering", "what_one_trial_learned"),
    ),
    # votes, marks and random numbers
    Mutant(
        "a cut reply votes",
        CHAIN,
        "return None if reply.truncated else answers.extract(reply.text, reply.kind)",
        "return answers.extract(reply.text, reply.kind)",
        _in("strategies", "always_cut"),
    ),
    Mutant(
        "a reply cut by its cap is not flagged",
        SESSION,
        'own = completion.finish == "length" or ',
        "own = ",
        _in("session", "own_cap"),
    ),
    Mutant(
        "a reply past its cap votes",
        SESSION,
        " or usage.output_tokens > turn.draft.asked_tokens",
        "",
        _in("session", "ignores_its_cap"),
    ),
    Mutant(
        "a mark on every yield",
        SESSION,
        "        if not self.marks or self.marks[-1].answer != answer:\n",
        "        if True:\n",
        _in("prefetch", "only_when_the_answer_changes"),
    ),
    Mutant(
        "only the first mark",
        SESSION,
        " or self.marks[-1].answer != answer:",
        ":",
        _in("prefetch", "only_when_the_answer_changes"),
    ),
    Mutant(
        "the budget is in the random seed",
        IDENTITY,
        "    body = _method(spec.condition)\n",
        "    body = [*_method(spec.condition), spec.condition.budget]\n",
        _in("metering", "random_numbers"),
    ),
    # draws and prefetch
    Mutant(
        "draws are numbered when prefetched",
        SESSION,
        "            self._source.prefetch(request)\n",
        "            self._source.prefetch(request)\n            self._draws[identity.stream_key(request)] += 1\n",
        _in("prefetch", "left_behind"),
    ),
    Mutant(
        "independent calls are accounted by arrival",
        SESSION,
        "            replies.append(await self._consume(draft))\n        return replies\n",
        '        return list(await __import__("asyncio").gather(*map(self._consume, drafts)))\n',
        _in("session", "ask_many"),
    ),
    Mutant(
        "prefetch buys what may not be covered",
        SESSION,
        "not self._affordable(planned) or await",
        "await",
        _in("prefetch", "prefetch_never_buys"),
    ),
    Mutant(
        "prefetch looks at each draw alone",
        SESSION,
        "not self._affordable(planned)",
        "not self._affordable(planned[-1:])",
        _in("prefetch", "prefetch_never_buys"),
    ),
    Mutant(
        "an unconsumed prefetch counts",
        SESSION,
        "            self._source.prefetch(request)\n",
        "            self._source.prefetch(request)\n            self._ledger.charge(planned[-1], Spend(1))\n",
        _in("prefetch", "nobody_consumed"),
    ),
    Mutant(
        "one draw at temperature zero for all models",
        SESSION,
        "if model.one_draw_at_zero and dict",
        "if dict",
        _in("prefetch", "varies_at_temperature_zero"),
    ),
    Mutant(
        "one draw at any temperature",
        SESSION,
        ' and dict(draft.params)["temperature"] == 0',
        "",
        _in("prefetch", "above_temperature_zero"),
    ),
    Mutant(
        "sent with the granted cap",
        SESSION,
        "self._source.get(turn.request)",
        "self._source.get(replace(turn.request, asked_tokens=turn.granted))",
        _in("prefetch", "asked_cap_whatever"),
    ),
    # identity
    Mutant(
        "the asked cap is missing from the pool key",
        IDENTITY,
        "_listed(request, request.asked_tokens, request.repeat, request.draw)",
        "_listed(request, request.repeat, request.draw)",
        _in("identity", "what_is_sent"),
    ),
    Mutant(
        "draws are counted per cap",
        IDENTITY,
        '_tagged("s1", _listed(request, request.repeat))',
        '_tagged("s1", _listed(request, request.asked_tokens, request.repeat))',
        _in("session", "resumed_stream"),
    ),
    Mutant(
        "the provider seed depends on the cap",
        IDENTITY,
        "_folded(_listed(request, request.repeat, request.draw), 31)",
        "_folded(_listed(request, request.asked_tokens, request.repeat, request.draw), 31)",
        _in("identity", "what_is_sent"),
    ),
    Mutant(
        "an anytime trial's id holds the budget",
        IDENTITY,
        "budget = None if condition.anytime else condition.budget",
        "budget = condition.budget",
        _in("identity", "decides_its_result"),
    ),
    Mutant(
        "no trial's id holds the budget",
        IDENTITY,
        "budget = None if condition.anytime else condition.budget",
        "budget = None",
        _in("identity", "decides_its_result"),
    ),
    Mutant(
        "the version is missing from the id",
        IDENTITY,
        "*_method(condition), condition.version, ",
        "*_method(condition), ",
        _in("identity", "decides_its_result"),
    ),
    Mutant(
        "prices are in every id",
        IDENTITY,
        '    if axis != "usd":\n        return None\n',
        "",
        _in("identity", "decides_its_result"),
    ),
    Mutant(
        "prices are in no id",
        IDENTITY,
        '    if axis != "usd":\n        return None\n',
        "    return None\n",
        _in("identity", "decides_its_result"),
    ),
    # pool
    Mutant(
        "a failed flight is tried again",
        POOL,
        "        if flight is None:\n",
        "        if flight is None or (flight.done() and flight.exception()):\n",
        _in("pool", "stays_failed"),
    ),
    Mutant(
        "a taker takes its flight down", POOL, "await asyncio.shield(flight)", "await flight", _in("pool", "gives_up")
    ),
    Mutant(
        "no single flight",
        POOL,
        "            self._flights[request.key] = flight\n",
        "            self._flights[str(id(flight))] = flight\n",
        _in("pool", "at_most_once"),
    ),
    Mutant(
        "the second reader pays as well",
        POOL,
        "replayed = stored or request.key in self._taken",
        "replayed = stored",
        _in("pool", "at_most_once"),
    ),
    Mutant(
        "drain looks once", POOL, "        while pending := [", "        if pending := [", _in("pool", "while_it_waits")
    ),
    # ceiling, dispatch and journal
    Mutant(
        "what is in flight is not reserved",
        BUDGET,
        "held = self.spent + self.reserved + self.in_doubt + amount",
        "held = self.spent + self.in_doubt + amount",
        _in("ceiling", "interleaving"),
    ),
    Mutant(
        "what is in doubt is released", BUDGET, "        self.in_doubt += reserved\n", "        pass\n", _in("ceiling")
    ),
    Mutant(
        "a lost reply is free",
        DISPATCH,
        "bill = Amount() if _unbilled(error) else None",
        "bill = Amount()",
        _in("ceiling", "worst_case"),
    ),
    Mutant(
        "a retry reserves nothing",
        DISPATCH,
        "        worst = await self._reserved(request.model, told)\n",
        "        worst = Amount() if ordinal else await self._reserved(request.model, told)\n",
        _in("ceiling", "reserves_anew"),
    ),
    Mutant(
        "everything is tried again",
        RATES,
        "error.kind not in RETRYABLE or ordinal",
        "ordinal",
        _in("ceiling", "closed_list"),
    ),
    Mutant(
        "a Retry-After of any length is waited for",
        RATES,
        "error.retry_after_s if error.retry_after_s <= self.longest_s else None",
        "error.retry_after_s",
        _in("ceiling", "beyond_the_bound"),
    ),
    Mutant(
        "a burst of refusals halves again and again",
        RATES,
        "        if sent != self._slowed:\n            return\n",
        "",
        _in("rates", "halves_once"),
    ),
    Mutant(
        "a Retry-After rests one call alone",
        RATES,
        "self._resumes_at = max(self._resumes_at, _now() + seconds)",
        "pass",
        _in("rates", "whole_model"),
    ),
    Mutant(
        "small requests overtake a large one",
        RATES,
        "        async with self._first:\n",
        "        if True:\n",
        _in("rates", "order_of_arrival"),
    ),
    Mutant(
        "a place given to a leaver is lost",
        RATES,
        "                self.leave()\n",
        "                pass\n",
        _in("rates", "just_left"),
    ),
    Mutant(
        "the burst comes on top of the minute",
        RATES,
        "(per_minute + 1 - self._most) / MINUTE_S",
        "per_minute / MINUTE_S",
        _in("rates", "no_minute_has"),
    ),
    Mutant(
        "waits outlast the run",
        DISPATCH,
        "        for turn in tuple(self._waits):\n            turn.cancel()\n",
        "",
        _in("rates", "whoever_waits"),
    ),
    Mutant(
        "the ceiling is called reached too early",
        DISPATCH,
        "if self.reached or not (self.ceiling.in_flight or self.ceiling.paused):",
        "if True:",
        _in("ceiling", "go_on"),
    ),
    Mutant(
        "stop starts new calls",
        DISPATCH,
        "            if self.stopped:\n",
        "            if False:\n",
        _in("ceiling", "stop_"),
    ),
    Mutant(
        "a provider's own cost is not counted",
        CHARGES,
        "larger(known, told) or 0",
        "known or 0",
        _in("charges", "reported_cost"),
    ),
    Mutant(
        "a provider's own cost is forgotten by a resume",
        JOURNAL,
        "charged_pusd=larger(a.charged_pusd, cost)",
        "charged_pusd=a.charged_pusd",
        _in("charges", "reported_cost"),
    ),
    Mutant(
        "a missing lock proves a run dead",
        ALLOWANCE,
        "if status.is_dead(run) or _said_goodbye(run):",
        "if not status.is_alive(run):",
        _in("allowance", "missing_lock"),
    ),
    Mutant(
        "a suspended run gives its calls up",
        LOOP,
        "            self.lost_s += now - self._seen_s\n",
        "            pass\n",
        _in("loop", "waits_for_what"),
    ),
    Mutant(
        "an overrun is hidden",
        BUDGET,
        "over = actual - reserved",
        "over = reserved - reserved",
        _in("ceiling", "overrun"),
    ),
    Mutant(
        "the journal is written after the strategy saw it",
        DISPATCH,
        "        self._note(replace(done, latency_ms=_since(began)), completion)\n",
        "        asyncio.get_running_loop().call_later(0.01, self._note, done, completion)\n",
        _in("ceiling", "before_anybody"),
    ),
    Mutant(
        "the intent is noted after sending",
        DISPATCH,
        "            attempt = await self._intended(self._begun(model, request, ordinal, worst))\n            bill = None\n"
        "            completion = await self._sent(model, request, attempt, told)\n",
        "            attempt = self._begun(model, request, ordinal, worst)\n            bill = None\n"
        "            completion = await self._sent(model, request, attempt, told)\n            await self._intended(attempt)\n",
        _in("ceiling", "interleaving"),
    ),
    Mutant(
        "a full journal goes unnoticed",
        DISPATCH,
        "            self._notes.outcome(attempt, completion)\n        except OSError as error:\n"
        "            self._gate.stop(",
        "            self._notes.outcome(attempt, completion)\n        except OSError as error:\n            str(",
        _in("ceiling", "cannot_be_written"),
    ),
    Mutant(
        "what cannot be noted is sent",
        DISPATCH,
        "            raise RunStopped(str(error)) from error\n",
        "            pass\n",
        _in("ceiling", "noted_before"),
    ),
    Mutant(
        "a torn line takes the next with it",
        JOURNAL,
        '[b"\\n"] if _torn(path) else []',
        "[]",
        _in("journal", "appending"),
    ),
    Mutant(
        "an open intent is forgotten",
        JOURNAL,
        'told.get("outcome") or told.get("intent")',
        'told.get("outcome")',
        _in("journal", "stays_charged"),
    ),
    # horizons need what is stored
    Mutant(
        "the length of a cut reply is not kept",
        SESSION,
        '"budget", replayed, whole.output_tokens, part)',
        '"budget", replayed, granted, part)',
        _in("crossaxis", "total_tokens"),
    ),
)
