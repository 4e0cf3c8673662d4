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


REPLAY = "engine/core/replay.py"
SESSION, TRIAL, BUDGET = "engine/trial/session.py", "engine/trial/solve.py", "engine/core/budget.py"
IDENTITY, POOL, DISPATCH = "engine/core/ids.py", "engine/runs/completion_cache.py", "engine/runs/dispatcher.py"
RATES, CHARGES, ALLOWANCE, LOOP = (
    "engine/runs/rate_limits.py",
    "engine/models/charges.py",
    "engine/runs/allowance.py",
    "engine/runs/process.py",
)
JOURNAL, CHAIN = "engine/runs/journal.py", "engine/strategies/chain.py"


def _in(room: str, what: str, only: str = "") -> tuple[str, ...]:
    file = f"tests/engine/{room}/test_{what}.py"
    return (file, "-k", only) if only else (file,)


_COLLAPSE = _in("trial", "collapse", "largest_budget")

MUTANTS: tuple[Mutant, ...] = (
    # the session closes
    Mutant(
        "the closing reply is shown",
        SESSION,
        "            self._cut(pending, whole, replayed)\n",
        "            try:\n                self._cut(pending, whole, replayed)\n            except SessionClosed:\n"
        "                return Reply(completion.text, False, usage.output_tokens, self._context.kind)\n",
        _in("trial", "session", "never_shown"),
    ),
    Mutant(
        "a call after the closing one",
        SESSION,
        "        if self.closed:\n            raise SessionClosed(self.closed)\n",
        "",
        _in("trial", "session", "cheaper_call or swallows_the_end"),
    ),
    Mutant(
        "a yield after the close counts",
        TRIAL,
        "                if session.closed:\n                    break\n",
        "",
        _in("trial", "session", "swallows_the_end"),
    ),
    Mutant(
        "a cut reply is not stored",
        SESSION,
        "        self._append(replace(pending, call=call, granted=granted), Cut.BUDGET, replayed, whole.output_tokens, part)\n",
        "",
        _in("trial", "session", "closing_call"),
    ),
    Mutant(
        "a refused call is not stored",
        SESSION,
        "        self._append(pending, cut, False, None, Spend())\n        self.closed = cut\n",
        "        self.closed = cut\n",
        _in("trial", "session", "refused_unsent"),
    ),
    Mutant(
        "a failed call is not stored",
        SESSION,
        "            self._append(pending, Cut.FAILED, False, None, Spend())\n",
        "",
        _in("trial", "prefetch", "gives_up"),
    ),
    Mutant(
        "a swallowed failure is forgotten",
        SESSION,
        "            self.closed = Cut.FAILED\n",
        "",
        _in("trial", "prefetch", "stays_failed"),
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
        "a spend lies in the tier of the bound",
        BUDGET,
        "tier = price.tier(spend.input_tokens) if price else 0",
        "tier = price.tier(call.bound_tokens) if price else 0",
        _in("trial", "price_tiers", "largest"),
    ),
    Mutant(
        "a wall knows the base of a price alone",
        BUDGET,
        "steps.append((rates.above_input_tokens, given, taken))",
        "steps.append((rates.above_input_tokens, price.input_pusd, price.output_pusd))",
        _in("trial", "price_tiers", "worst_case"),
    ),
    Mutant(
        "a step is priced in the tier of its bound",
        "engine/analysis/sql/queries.py",
        "abs(s.input_tokens) > r.above and abs(s.input_tokens) <= r.upto",
        "s.reach > r.above and s.reach <= r.upto",
        _in("analysis", "tiers", "dearest_tier"),
    ),
    Mutant(
        "greedy cap: the prompt is left out",
        BUDGET,
        "each.room(call.model, call.bound_tokens)",
        "each.room(call.model, 0)",
        _in("trial", "session", "granted_the_least"),
    ),
    Mutant(
        "reported input instead of the high-water mark",
        BUDGET,
        "max(self.high, self.entered + dearest_input * reach_tokens)",
        "self.entered + own * spend.input_tokens",
        _COLLAPSE,
    ),
    Mutant(
        "an input overrun is not metered",
        BUDGET,
        "reach = max(call.bound_tokens, spend.input_tokens)",
        "reach = call.bound_tokens",
        _in("trial", "metering", "more_input"),
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
        "{**self.meters, model: meter}",
        "{model: meter}",
        _COLLAPSE,
    ),
    Mutant(
        "no call cap",
        SESSION,
        "        if len(self.calls) >= MAX_CALLS:\n",
        "        if len(self.calls) >= 2 * MAX_CALLS:\n",
        _in("trial", "metering", "price_of_nothing"),
    ),
    Mutant(
        "remaining is open to anytime strategies",
        SESSION,
        "        if self._context.anytime:\n",
        "        if False:\n",
        _in("trial", "metering", "remaining_fails"),
    ),
    Mutant(
        "refused before the context is looked at",
        SESSION,
        "        if room == 0:\n            self._close(pending, Cut.CONTEXT)\n"
        "        if pending.granted < 1:\n            self._close(pending, Cut.REFUSED)\n",
        "        if pending.granted < 1:\n            self._close(pending, Cut.REFUSED)\n"
        "        if room == 0:\n            self._close(pending, Cut.CONTEXT)\n",
        _in("trial", "session", "beyond_the_context_window"),
    ),
    Mutant(
        "a loose bound fills the context window",
        SESSION,
        "return 0 if model.least(draft.messages) >= model.context_tokens",
        "return 0 if bound.tokens >= model.context_tokens",
        _in("trial", "session", "loose_bound_alone"),
    ),
    Mutant(
        "a full window fails the trial",
        SESSION,
        "        except ContextOverflow:\n            self._close(pending, Cut.CONTEXT)\n",
        "",
        _in("trial", "session", "finds_the_window"),
    ),
    Mutant(
        "the learned count is dropped",
        SESSION,
        "        if where in self._counted:\n",
        "        if False:\n",
        _in("trial", "metering", "becomes_the_providers_count"),
    ),
    Mutant(
        "the learned count is shared by trials",
        SESSION,
        "self._counted: dict[tuple[str, Prompt], int] = {}",
        'self._counted = ids.__dict__.setdefault("shared", {})',
        _in("trial", "metering", "what_one_trial_learned"),
    ),
    # votes, marks and random numbers
    Mutant(
        "a cut reply votes",
        CHAIN,
        "    if reply.truncated:\n        return None\n",
        "",
        _in("trial", "session", "casts_no_vote"),
    ),
    Mutant(
        "a reply cut by its cap is not flagged",
        SESSION,
        'own = completion.finish == "length" or ',
        "own = ",
        _in("trial", "session", "own_cap"),
    ),
    Mutant(
        "a reply past its cap votes",
        SESSION,
        " or usage.output_tokens > pending.draft.asked_tokens",
        "",
        _in("trial", "session", "ignores_its_cap"),
    ),
    Mutant(
        "a mark on every yield",
        SESSION,
        "        if not self.marks or self.marks[-1].answer != answer:\n",
        "        if True:\n",
        _in("trial", "prefetch", "only_when_the_answer_changes"),
    ),
    Mutant(
        "only the first mark",
        SESSION,
        " or self.marks[-1].answer != answer:",
        ":",
        _in("trial", "prefetch", "only_when_the_answer_changes"),
    ),
    Mutant(
        "the budget is in the random seed",
        IDENTITY,
        "    body = _method(spec.condition)\n",
        "    body = [*_method(spec.condition), spec.condition.budget]\n",
        _in("trial", "metering", "random_numbers"),
    ),
    # draws and prefetch
    Mutant(
        "draws are numbered when prefetched",
        SESSION,
        "            self._source.prefetch(request)\n",
        "            self._source.prefetch(request)\n            self._draws[ids.stream_key(request)] += 1\n",
        _in("trial", "prefetch", "left_behind"),
    ),
    Mutant(
        "independent calls are accounted by arrival",
        SESSION,
        "            replies.append(await self._consume(draft))\n        return replies\n",
        '        return list(await __import__("asyncio").gather(*map(self._consume, drafts)))\n',
        _in("trial", "session", "ask_many"),
    ),
    Mutant(
        "prefetch buys what may not be covered",
        SESSION,
        "not affordable or room",
        "room",
        _in("trial", "prefetch", "prefetch_never_buys"),
    ),
    Mutant(
        "prefetch looks at each draw alone",
        SESSION,
        "self._ledger.fits(planned)",
        "self._ledger.fits(planned[-1:])",
        _in("trial", "prefetch", "prefetch_never_buys"),
    ),
    Mutant(
        "an unconsumed prefetch counts",
        SESSION,
        "            self._source.prefetch(request)\n",
        "            self._source.prefetch(request)\n            self._ledger.charge(planned[-1], Spend(1))\n",
        _in("trial", "prefetch", "nobody_consumed"),
    ),
    Mutant(
        "one draw at temperature zero for all models",
        SESSION,
        "if model.one_draw_at_zero and dict",
        "if dict",
        _in("trial", "prefetch", "varies_at_temperature_zero"),
    ),
    Mutant(
        "one draw at any temperature",
        SESSION,
        ' and dict(draft.params)["temperature"] == 0',
        "",
        _in("trial", "prefetch", "above_temperature_zero"),
    ),
    Mutant(
        "sent with the granted cap",
        SESSION,
        "self._source.get(pending.request)",
        "self._source.get(replace(pending.request, asked_tokens=pending.granted))",
        _in("trial", "prefetch", "asked_cap_whatever"),
    ),
    # identity
    Mutant(
        "the asked cap is missing from the pool key",
        IDENTITY,
        '_tagged("c1", f"{begun or stem(request)},{request.asked_tokens},',
        '_tagged("c1", f"{begun or stem(request)},',
        _in("core", "ids", "what_is_sent"),
    ),
    Mutant(
        "draws are counted per cap",
        IDENTITY,
        '_tagged("s1", f"{begun or stem(request)},',
        '_tagged("s1", f"{begun or stem(request)},{request.asked_tokens},',
        _in("trial", "session", "resumed_stream"),
    ),
    Mutant(
        "the provider seed depends on the cap",
        IDENTITY,
        '_folded(f"{begun or stem(request)},',
        '_folded(f"{begun or stem(request)},{request.asked_tokens},',
        _in("core", "ids", "what_is_sent"),
    ),
    Mutant(
        "an anytime trial's id holds the budget",
        IDENTITY,
        "budget = None if condition.anytime else condition.budget",
        "budget = condition.budget",
        _in("core", "ids", "decides_its_result"),
    ),
    Mutant(
        "no trial's id holds the budget",
        IDENTITY,
        "budget = None if condition.anytime else condition.budget",
        "budget = None",
        _in("core", "ids", "decides_its_result"),
    ),
    Mutant(
        "the version is missing from the id",
        IDENTITY,
        "*_method(condition), condition.version, ",
        "*_method(condition), ",
        _in("core", "ids", "decides_its_result"),
    ),
    Mutant(
        "prices are in every id",
        IDENTITY,
        '    if condition.axis == "usd":\n',
        "    if True:\n",
        _in("core", "ids", "decides_its_result"),
    ),
    Mutant(
        "prices are in no id",
        IDENTITY,
        '    if condition.axis == "usd":\n',
        "    if False:\n",
        _in("core", "ids", "decides_its_result"),
    ),
    # pool
    Mutant(
        "a failed flight is tried again",
        POOL,
        "if flight is None or _lost(flight):\n",
        "if flight is None or (flight.done() and flight.exception()):\n",
        _in("runs", "completion_cache", "stays_failed"),
    ),
    Mutant(
        "a taker takes its flight down",
        POOL,
        "await asyncio.shield(flight)",
        "await flight",
        _in("runs", "completion_cache", "gives_up"),
    ),
    Mutant(
        "no single flight",
        POOL,
        "            self._flights[request.key] = flight\n",
        "            self._flights[str(id(flight))] = flight\n",
        _in("runs", "completion_cache", "at_most_once"),
    ),
    Mutant(
        "the second reader pays as well",
        POOL,
        "replayed = stored or request.key in self._taken",
        "replayed = stored",
        _in("runs", "completion_cache", "at_most_once"),
    ),
    Mutant(
        "drain looks once",
        POOL,
        "        while pending := [",
        "        if pending := [",
        _in("runs", "completion_cache", "while_it_waits"),
    ),
    # ceiling, dispatch and journal
    Mutant(
        "what is in flight is not reserved",
        BUDGET,
        "committed = self.spent + self.reserved + self.in_doubt + amount",
        "committed = self.spent + self.in_doubt + amount",
        _in("core", "ceiling", "interleaving"),
    ),
    Mutant(
        "what is in doubt is released",
        BUDGET,
        "        self.in_doubt += reserved\n",
        "        pass\n",
        _in("core", "ceiling"),
    ),
    Mutant(
        "a lost reply is free",
        DISPATCH,
        "            bill = _charged(model, error)\n",
        "            bill = Amount()\n",
        _in("core", "ceiling", "worst_case"),
    ),
    Mutant(
        "a retry reserves nothing",
        DISPATCH,
        "        worst, sent = await self._reserved(lane, request.model, by_cap)\n",
        "        worst, sent = await self._reserved(lane, request.model, Amount() if ordinal else by_cap)\n",
        _in("core", "ceiling", "reserves_anew"),
    ),
    Mutant(
        "everything is tried again",
        RATES,
        "error.kind not in RETRYABLE or ordinal",
        "ordinal",
        _in("core", "ceiling", "closed_list"),
    ),
    Mutant(
        "a Retry-After of any length is waited for",
        RATES,
        "error.retry_after_s if error.retry_after_s <= self.longest_s else None",
        "error.retry_after_s",
        _in("core", "ceiling", "beyond_the_bound"),
    ),
    Mutant(
        "a burst of refusals halves again and again",
        RATES,
        "        if sent != self._slowed:\n            return\n",
        "",
        _in("runs/spending", "rate_limits", "halves_once"),
    ),
    Mutant(
        "a Retry-After rests one call alone",
        RATES,
        "self._resumes_at = max(self._resumes_at, _now() + seconds)",
        "pass",
        _in("runs/spending", "rate_limits", "whole_model"),
    ),
    Mutant(
        "small requests overtake a large one",
        RATES,
        "        async with self._first:\n",
        "        if True:\n",
        _in("runs/spending", "rate_limits", "order_of_arrival"),
    ),
    Mutant(
        "a place given to a leaver is lost",
        RATES,
        "                self.leave()\n",
        "                pass\n",
        _in("runs/spending", "rate_limits", "just_left"),
    ),
    Mutant(
        "the burst comes on top of the minute",
        RATES,
        "(per_minute + 1 - self._most) / MINUTE_S",
        "per_minute / MINUTE_S",
        _in("runs/spending", "rate_limits", "no_minute_has"),
    ),
    Mutant(
        "waits outlast the run",
        DISPATCH,
        "        for turn in tuple(self._waits):\n            turn.cancel()\n",
        "",
        _in("runs/spending", "rate_limits", "whoever_waits"),
    ),
    Mutant(
        "the ceiling is called reached too early",
        DISPATCH,
        "if self.reached or not (self.ceiling.in_flight or self.ceiling.paused):",
        "if True:",
        _in("core", "ceiling", "go_on"),
    ),
    Mutant(
        "stop starts new calls",
        DISPATCH,
        "            if self.stopped:\n",
        "            if False:\n",
        _in("core", "ceiling", "stop_"),
    ),
    Mutant(
        "a provider's own cost is not counted",
        CHARGES,
        "larger(known, theirs) or 0",
        "known or 0",
        _in("models", "charges", "reported_cost"),
    ),
    Mutant(
        "a provider's own cost is forgotten by a resume",
        JOURNAL,
        "charged_pusd=larger(a.charged_pusd, cost)",
        "charged_pusd=a.charged_pusd",
        _in("models", "charges", "reported_cost"),
    ),
    Mutant(
        "a missing lock proves a run dead",
        ALLOWANCE,
        "if not run_dir.is_dead(run) and not any(row.finished_at for row in Store(db).runs() if row.run_id == run_id):",
        "if run_dir.is_alive(run):",
        _in("runs/spending", "allowance", "missing_lock"),
    ),
    Mutant(
        "a suspended run gives its calls up",
        LOOP,
        "            self.lost_s += now - self._seen_s\n",
        "            pass\n",
        _in("runs", "process", "waits_for_what"),
    ),
    Mutant(
        "an overrun is hidden",
        BUDGET,
        "        self.overrun += actual.above(reserved)\n",
        "",
        _in("core", "ceiling", "overrun"),
    ),
    Mutant(
        "the journal is written after the strategy saw it",
        DISPATCH,
        "        self._note(done, completion)\n",
        "        asyncio.get_running_loop().call_later(0.01, self._note, done, completion)\n",
        _in("core", "ceiling", "before_anybody"),
    ),
    Mutant(
        "the intent is noted after sending",
        DISPATCH,
        "            self._notes.intent(attempt)\n",
        "            asyncio.get_running_loop().call_later(0.01, self._notes.intent, attempt)\n",
        _in("core", "ceiling", "interleaving"),
    ),
    Mutant(
        "a full journal goes unnoticed",
        DISPATCH,
        "            self._notes.outcome(attempt, completion)\n        except OSError as error:\n"
        "            self._stop_unwritten(error)",
        "            self._notes.outcome(attempt, completion)\n        except OSError as error:\n            str(error)",
        _in("core", "ceiling", "cannot_be_written"),
    ),
    Mutant(
        "what cannot be noted is sent",
        DISPATCH,
        "            raise RunStopped(str(error)) from error\n",
        "            pass\n",
        _in("core", "ceiling", "noted_before"),
    ),
    Mutant(
        "a torn line takes the next with it",
        JOURNAL,
        'self._lines: list[bytes] = [b"\\n"] if last else []',
        "self._lines: list[bytes] = []",
        _in("runs", "journal", "appending"),
    ),
    Mutant(
        "an open intent is forgotten",
        JOURNAL,
        'entry.get("outcome") or entry.get("intent")',
        'entry.get("outcome")',
        _in("runs", "journal", "stays_charged"),
    ),
    # reading at a smaller budget, and what it needs to be stored
    Mutant(
        "data go on beyond the closing call",
        REPLAY,
        "        if call.cut and call.cut.beyond:\n",
        "        if False:\n",
        _in("core", "replay_axes", "horizon"),
    ),
    Mutant(
        "the call a wall cuts is charged whole",
        REPLAY,
        "clipped(whole, granted)",
        "whole",
        _in("core", "replay_axes", "total_tokens"),
    ),
    Mutant(
        "the length of a cut reply is not kept",
        SESSION,
        "Cut.BUDGET, replayed, whole.output_tokens, part)",
        "Cut.BUDGET, replayed, granted, part)",
        _in("core", "replay_axes", "total_tokens"),
    ),
)
