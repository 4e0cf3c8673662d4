"""What of a reply is text to read: without thoughts, end tokens, invisible characters, other scripts' digits, LaTeX.

Every function is linear in its input and none raises.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from engine.core.answers.patterns import late

_TAG = late(
    # With a prefix of its model's, as in <seed:think>, or within bars.
    r"<\|?(?P<close>/)?(?!end_)(?:[a-z]{1,12}[:_])?(?:think|thinking|thoughts?|thought_process|thinking_process|reasoning|"
    r"analysis|rationale|reasons?|planning|scratchpad|reflection|chain_of_thought|cot|(?:inner|internal)_monologue|antthinking)\s?(?:\s[^<>]{0,80})?\|?>"
    r"|\u25c1(?P<kimi>/)?think\u25b7|\[(?P<bracket>/)?THINK\]|<\|(?:begin|start|(?P<ends>end))_(?:of_)?think(?:ing)?\|>"
    r"|<\|(?:begin|(?P<done>end))_of_thought\|>|<\|channel>thought\b|(?P<shut><channel\|>)"
    r"|<unused94>(?:thought\b)?|(?P<used><unused95>)|<\|inner_(?:prefix|(?P<suffix>suffix))\|>",
    re.I,
)
_FINAL = "<|channel|>final<|message|>"
_THOUGHT_CHANNEL = late(r"<\|channel\|>(?:analysis|commentary)\b")
# The same with its marks lost.
_BARE_CHANNEL = late(r"\Aanalysis(?=[A-Z])")
_BARE_FINAL = "assistantfinal"
# What a mark of its model puts in a box.
_MODEL_BOX = late(r"<\|begin_of_box\|>([^<>]{1,400})<\|end_of_box\|>")
_STARTS = late(
    r"<\|(?:im_start|start_header_id)\|>[ \t]*(?:assistant\b|(?!\w))\s*(?:<\|(?:im_sep|end_header_id)\|>)?"
    r"|<\|(?:(?:start|begin)\w{0,30}|assistant|message|im_sep|turn>model|chatbot_token)\|?>"
    r"|<(?:bos|start_of_turn|pad|unk|response)>(?:model\b)?|</response>|\[/?INST\]",
    re.I,
)
_ENDS = late(
    # Any other mark between bars is one of another turn, of a tool or of an end.
    r"<\|[a-z_]{2,30}\|>"
    r"|<(?:end_of_turn|eos|endoftext|end_of_utterance|turn\||[a-z]{1,12}:eos)>|</s>|<\uff5cend\u2581of\u2581sentence\uff5c>"
    r"|\[INST\]|\[EOS\]|\[e~\[",
    re.I,
)
_LEADING = late(rf"\A\s*+(?:(?:{_ENDS.pattern})\s*+)*+", re.I)
_STRUCK = late(r"</?s>")
# Pairs of tags around a short text are emphasis; a tag alone may be what was asked for.
_EMPHASIS = late(
    r"<(?P<tag>b|strong|i|em|u|mark|code|span|font|p|div|center|big|small|kbd|tt|ins|h[1-6]|li|pre|blockquote)(?:\s[^<>]{0,80})?>"
    r"(?P<held>[^<>]{1,400})</(?P=tag)>",
    re.I,
)
# Markdown's own: of "~~A~~ B" the B is left.
_HIGHLIGHT = late(r"(?<![\w=])==(?=\S)(?P<held>[^=\n]{1,200})(?<=\S)==(?![\w=])")
_STRUCK_OUT = late(
    r"(?<![\w~])~~(?=\S)[^~\n]{1,200}(?<=\S)~~(?![\w~])|<(?P<out>del|strike|s)>[^<>]{1,200}</(?P=out)>", re.I
)
# Signs that point at what follows on their line.
_TICK = late(
    r"[\u2705\u2714\u2611\u27a1\u25b6\u2794\U0001f449\U0001f3af\U0001f4cc\U0001f4a1\u2b50\u2022]\ufe0f?[ \t]{0,3}"
    r"(?=[-\w$(\[*\\`\"'])"
)
# Labels between underscores are no part of a name.
_LABEL = late(r"(?<!\w)_{1,3}(?=[^\s_])([^_\n]{1,60}?)(?:(?<=[:0-9])_{1,3}(?!\w)|_{1,3}(?=\s?:))")
_RAISED_TAG = late(r"<sup>([^<>]{1,12})</sup>", re.I)
_BREAK = late(r"<br\s?/?>", re.I)

_DASHES = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-"})
_VULGAR = "\u00bc\u00bd\u00be\u2150\u2151\u2152\u2153\u2154\u2155\u2156\u2157\u2158\u2159\u215a\u215b\u215c\u215d\u215e"
_SPELLED = {
    "\u066b": ".",  # Arabic decimal and thousands separators
    "\u066c": ",",
    "\u2044": "/",
    "\u2215": "/",
    "\u00d7": "*",
    "\u00b7": "*",
    "\u22c5": "*",
    "\u2217": "*",
    "\u00f7": "/",
    "\u2248": "=",
    "\u2208": "\\in ",
    "\u2205": "\\emptyset ",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u221e": "\\infty ",
    "\u211d": "\\mathbb{R}",
    "\u2228": "\\vee ",
    "\u2227": "\\wedge ",
    "\u2216": "\\setminus ",
    "\u2260": "!=",
    "\u03c0": "\\pi ",
    "\u222a": "\\cup ",
    "\u00b1": "\\pm ",
    "\u221a": "\\sqrt ",
    "\u00b0": "\\degree ",
    "\u3002": ". ",
    "\u3001": ", ",
    "\u301c": "~",
    "\u066a": "%",
}
_RAISED = {"\u2070": "0", "\u00b9": "1", "\u00b2": "2", "\u00b3": "3", "\u2071": "i", "\u207a": "+", "\u207b": "-"} | {
    chr(0x2070 + digit): str(digit) for digit in range(4, 10)
}
_POWER = late(f"[{''.join(_RAISED)}]+")

_FRAC = late(
    r"\\[dtc]?frac\s{0,4}(?:\{(?P<top>[^{}]{1,40})\}|(?P<t>[0-9]))\s{0,4}(?:\{(?P<below>[^{}]{1,40})\}|(?P<b>[0-9]))"
)
_OVER = late(r"\{\s{0,4}([^{}]{1,40}?)\s{0,4}\\(over|choose)(?![A-Za-z])\s{0,4}([^{}]{1,40}?)\s{0,4}\}")
STYLES = (
    "text|textbf|textit|textrm|textsf|texttt|textsc|textsl|textup|textmd|textnormal|emph|underline|uline|"
    "mathrm|mathbf|mathit|mathsf|mathtt|mathcal|mathfrak|boldsymbol|bm|pmb|mbox|hbox|operatorname"
)
"""Commands of LaTeX that say how something looks and nothing else."""
_STYLED = late(rf"\\(?:{STYLES})\*?\s{{0,4}}\{{([^{{}}]{{0,200}})\}}")
_BOX = late(r"\\(?:boxed|fbox|framebox)\s{0,4}\{([^{}]{0,200})\}")
DECLARED = (
    r"\\(?:bf|rm|it|sf|tt|sc|em|bfseries|itshape|ttfamily|sffamily|large|Large|LARGE|huge|Huge)(?![A-Za-z])[ \t]?"
    r"|\\(?:text)?color(?:box)?\s?\{[^{}]{1,20}\}"
)
_DECLARED = late(DECLARED)
_GROUP = late(rf"\{{(?:{DECLARED})+([^{{}}]{{0,200}})\}}|(?:{DECLARED})+\{{([^{{}}]{{0,200}})\}}")
# A few plain words, numbers or a letter between a pair of signs.
_HELD = r"\s?(?P<held>[-(]?[^\W_](?:[-\w (),.'\u2019%/]{0,60}[^\W_)])?[)]?[.!:]?)\s?"
_PAIRS = late(
    r"(?<![\w\\$])(?:"
    + "|".join(
        f"{opening}{_HELD.replace('held', f'held{place}')}{closing}"
        for place, (opening, closing) in enumerate(
            (
                ("`{1,3}", "`{1,3}"),
                ("__?", "__?"),
                (r"\$\$?", r"\$\$?"),
                (r"\\\(", r"\\\)"),
                (r"\\\[", r"\\\]"),
                ('"', '"'),
                ("'", "'"),
                ("\u2018", "\u2019"),
                ("[\u201c\u201e]", "[\u201d\u201c]"),
                ("\u00ab", "\u00bb"),
                ("[\u300c\u300e]", "[\u300d\u300f]"),
            )
        )
    )
    + r")(?![\w$])"
)
_OPENING = frozenset("`_$\\\"'\u2018\u201c\u201e\u00ab\u300c\u300e")
"""What a pair begins with."""
_COMMA = late(r"\{,\}|,\s{0,3}\\!\s{0,3}|\\,(?=\s{0,2}[0-9]{3})")
_SPACING = late(
    r"\\(?:left|right|displaystyle|bigl|bigr|big|Bigl|Bigr|Big|quad|qquad|circ|degree)(?![A-Za-z])"
    r"|\\[()\[\],;:! ]|\^\\circ|\^\{\\circ\}"
)
_TIMES = late(r"\\(?:times|cdot|ast)(?![A-Za-z])")
_POWERS = late(r"(?<=[0-9)])\*\*(?=[0-9(-])")
# Between two numbers it is a range.
_TILDE = late(r"(?<![0-9])~|~(?![0-9])")
_APPROX = late(r"\\(?:approx|simeq|doteq)(?![A-Za-z])")
_DIV = late(r"\\div(?![A-Za-z])")


def visible(text: str) -> str:
    """The part of a reply that is meant for the reader, without invisible characters.

    A thought is what stands between <think> and </think>; one that is never closed reaches to the end, and a closing
    tag alone ends a thought that began before the reply did. What follows an end token is another turn.
    """
    if not text.isprintable():
        # LaTeX whose backslash was read as an escape of JSON.
        text = text.replace("\x08oxed{", "\\boxed{").replace("\x0crac{", "\\frac{").replace("\text{", "\\text{")
        # Joiners and direction marks stand inside numbers and words of real replies; none is a letter.
        unseen = {c for c in set(text) if not (c.isprintable() or c.isspace() or unicodedata.category(c) == "Co")}
        text = text.translate(dict.fromkeys(map(ord, unseen))) if unseen else text
    text = _LABEL.sub(r"\1", text) if "_" in text else text
    # Looked for before it is taken off: most replies have none of it, and every pattern reads all of them.
    text = _HIGHLIGHT.sub(r"\g<held>", text) if "==" in text else text
    # An <s> at the beginning is a token of its model.
    struck = not text.startswith("<s>") and ("~~" in text or "</" in text)
    text = _STRUCK_OUT.sub("", text) if struck else text
    text = _ESCAPED.sub(r"<\1>", text) if "&lt;" in text else text
    text = _next_turn_cut(text) if "\n" in text else text
    text = text if text.isascii() else _TICK.sub("", text)
    if text.startswith("analysis") and _BARE_CHANNEL.match(text):
        text = text.rpartition(_BARE_FINAL)[2] if _BARE_FINAL in text else ""
    if "<" not in text and "[" not in text and "\u25c1" not in text:
        return text
    text = _MODEL_BOX.sub(r"\\boxed{\1}", text)
    _, final, rest = text.rpartition(_FINAL)
    if not final:
        # A channel of thought that no final one follows.
        text = _THOUGHT_CHANNEL.split(text, maxsplit=1)[0]
    text = _BREAK.sub("\n", _RAISED_TAG.sub(r"^{\1}", _without_thoughts(rest if final else text)))
    # Twice, for what is both bold and italic.
    for _ in range(2):
        text = _EMPHASIS.sub(r"\g<held>", text)
    tags = [tag[0] for tag in _STRUCK.finditer(text)]
    # A pair of tags is struck-out text of HTML, and a closing one alone the end token of a model.
    paired = bool(tags) and tags[0] == "<s>" and not text.lstrip().startswith("<s>")
    text = _STARTS.sub("", text if paired else text.replace("<s>", ""))
    # Those a reply begins with end nothing of it.
    text = _LEADING.sub("", text)
    for end in _ENDS.finditer(text):
        if end[0] != "</s>" or not paired:
            return text[: end.start()]
    return text


# "Human: ..." where a model goes on with what it would be asked next.
_NEXT_TURN = late(r"\n\s{0,4}(?:Human:\s|###\s?(?:Instruction|Human|User|Input)s?\b:?|\n\s{0,4}User:\s)")
_ESCAPED = late(r"&lt;(/?[a-z_:|]{3,30})&gt;", re.I)


def _next_turn_cut(text: str) -> str:
    turn = _NEXT_TURN.search(text)
    return text[: turn.start()] if turn and text[: turn.start()].strip() else text


def _without_thoughts(text: str) -> str:
    parts, at, thinking = list[str](), 0, False
    for tag in _TAG.finditer(text):
        closes = tag.lastgroup is not None
        if closes and not thinking:
            parts.clear()
        elif not thinking:
            parts.append(text[at : tag.start()])
        thinking, at = not closes, tag.end()
    parts += [] if thinking else [text[at:]]
    # What stood apart stays apart.
    apart = (
        f"{part}\n" if part[-1:].isalnum() and after[:1].isalnum() else part for part, after in pairwise((*parts, ""))
    )
    return "".join(apart)


def latin(text: str) -> str:
    """Digits and mathematical signs of every script in ASCII, every dash a hyphen."""
    if text.isascii():
        return text
    text = _POWER.sub(lambda power: "^{" + "".join(map(_RAISED.__getitem__, power[0])) + "}", text)
    text = text.translate(_DASHES)
    # A half behind a whole is kept apart from it, once.
    spaced = [""] + ["" if c.isspace() else " " for c in text]
    return "".join(c if c.isascii() else _ascii(c, apart) for c, apart in zip(text, spaced, strict=False))


def _ascii(character: str, apart: str = "") -> str:
    known = _SPELLED.get(character)
    if known is not None:
        return known
    if character in _VULGAR:
        top, _, below = unicodedata.normalize("NFKC", character).partition("\u2044")
        return f"{apart}{top}/{below}"
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    # Fullwidth forms, and the mathematical alphabets that chat models write in.
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 and folded.isascii() and not folded.isspace() else character


def unstyled(text: str) -> str:
    """Without LaTeX that says how something looks."""
    if "\\" not in text:
        return text
    text = _DECLARED.sub("", _GROUP.sub(r"\1\2", text))
    # From the inside out; deeper nesting than this is no answer.
    for _ in range(3):
        text = _STYLED.sub(r"\1", text)
    return text


def unpaired(text: str) -> str:
    """Without pairs of quotes, dollars and the like around a few plain words."""
    if _OPENING.isdisjoint(text):
        return text
    # Twice, for one pair within another.
    for _ in range(2):
        text = _PAIRS.sub(lambda pair: next(held for held in pair.groups() if held is not None), text)
    return text


def plain(text: str) -> str:
    """Without LaTeX and bold markup, fractions as a/b; for pieces of bounded length."""
    text = text if text.isascii() else text.translate(_DASHES)
    text = _COMMA.sub(",", text) if "\\" in text or "{,}" in text else text
    if "\\" in text:
        text = _FRAC.sub(_quotient, over(text))
        text = _TIMES.sub("*", _DIV.sub("/", _APPROX.sub("=", text)))
        for _ in range(3):
            text = unstyled(_BOX.sub(r"\1", text))
        text = _SPACING.sub(" ", text)
    # Two asterisks between operands are a power, and bold elsewhere.
    text = _POWERS.sub("^", text) if "**" in text else text
    text = text.replace("\\$", "$").replace("\\%", "%").replace("**", "").replace("__", "")
    text = (_TILDE.sub(" ", text) if "~" in text else text).strip()
    while len(text) > 2 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    return text


def over(text: str) -> str:
    """Plain TeX's fractions as those of LaTeX, and what is chosen likewise."""
    if "\\over" not in text and "\\choose" not in text:
        return text
    return _OVER.sub(lambda found: f"\\{_TEX[found[2]]}{{{found[1]}}}{{{found[3]}}}", text)


_TEX = {"over": "frac", "choose": "binom"}


def _quotient(frac: re.Match[str]) -> str:
    # A number in front makes it a mixed one, which a space keeps from running together.
    apart = " " if frac.start() and frac.string[frac.start() - 1].isdecimal() else ""
    top, below = (frac["top"] or frac["t"]).strip(), (frac["below"] or frac["b"]).strip()
    if re.fullmatch(r"-[0-9.]+", below) and re.fullmatch(r"-?[0-9.]+", top):
        # A sign below the line is one above it.
        top, below = top[1:] if top[0] == "-" else f"-{top}", below[1:]
    return f"{apart}{top}/{below}"
