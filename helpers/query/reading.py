"""What people type, read by rules: not, or, quotes, and dates.

A text becomes tokens, whose kinds are letters, and the grammar is a pattern of these letters. To
add a word, add it to a table. Not about searching for what was read: that is `queries`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from itertools import groupby
from typing import Any, NamedTuple

from ..dates import FIRST, SPOKEN, moment, period, seconds, spoken
from ..settings import listed
from . import queries

_FOREIGN = (  # words that English does not have
    r"(?i)\b(der|das|ein|eine|einen|und|oder|nicht|ohne|mit|auf|ist|une|des|avec|sans|dans|et|pas|"
    r"un|uno|una|pero|perro|gli|nel|senza|che|um|uma|com|sem|não|em|een|het|zonder|niet)\b"
)
_SIGNS = "parking|smoking|swimming|fishing|entry|exit|trespassing|photography"
_FIXED = (  # sayings, in which no word is read
    r"(?:an?|the) (?:no|do not) [\w ]+?(?= signs?\b)|do(?:es)? not \w+|not without|why not|"
    rf"no (?:{_SIGNS})(?= signs?\b|$|,)|no (?:man['’]s|idea|matter|doubt|longer|more|way|problem)|"
    "not (?:only|just|even|yet|all|bad|guilty|found|for sale)|yes or no|whether or not|"
    r"more or less|trick or treat|dead or alive|all or nothing|black or white (?:photo|picture)s?|route \d+"
)
_LEAD = "(?:(?:that|which|who|it|is|are|was|has|have|with|but|and|everything|anything) )*"
_NOT = (
    "not|no|without|except(?: for)?|excluding|other than|rather than|instead of|apart from|neither|"
    "everything but|(?:is|are|was|has)n['’]t|(?:that|who) do(?:es)?(?: not|n['’]t)(?: have)?"
)
_TIME = f"(?:the )?{SPOKEN}"
_TIMES = f"{_TIME} ?(?:-|–|and|to|until|till) ?{_TIME}"
_KINDS = {  # of tokens, tried in this order
    "q": r'(?<!\w)"\S[^"]*"|[“„«][^“”„«»]+[”“»]',  # quoted
    "w": _FIXED,
    "t": f"(?:between|from) {_TIMES}|"  # a time
    f"(?:in|on|during|from|since|after|before|until|till|taken|taken in|dated) {_TIME}",
    "l": f"{_TIMES}|{_TIME}",  # one that stands alone
    "x": "or (?:not|no|without)",
    "z": f"{_LEAD}(?:nobody|no[ -]one)",
    "n": f"{_LEAD}(?:{_NOT})",
    "o": "n?or",
    "e": "either",
    "b": "but",
    "p": "in front of|next to|in|on|at|under|over|near|behind|beside|beneath|below|above|by|from|"
    "through|across|along|around|against|among|between|inside|outside|before|after|during|into",
    "h": "with|wearing|holding|carrying",
    "f": "of|to|for|about|like|as|than",
    "i": "an?|some|any",
    "d": r"the|my|our|your|his|her|their|its|this|that|early|late|\w+['’]s",
    "a": "red|orange|yellow|green|blue|purple|pink|brown|black|white|gr[ae]y|golden|silver|dark|"
    "light|big|large|small|little|old|young|wet|dry",
}
_REST = (
    r"(?P<c>[,;:.!?()\[\]—]+|--+|(?<!\S)[-–](?!\S))"
    r"|(?P<m>(?<![^\s(,])[-−–](?=[\"“„«]|[^\W\d_]{2}))"  # a minus
    r"|(?:[^\s,;:.!?()\[\]—]|(?<=\d),(?=\d)|(?<=\w)[.:](?=\w))+"
)
_WORD, _ANY = "[adiqw]", "[adfhipqw]"
_TIDY = {
    "co": "oo",  # a comma before an or
    r"(?<![adiqw])([adiqw])([adfiqw]*)c(?=(?:\1[adfiqw]*c){0,9}\1[adfiqw]*o)": r"\1\2o",  # a list
    "(?<![dfhip])l(?![afqw])|(?<![adfhipqw])y(?![adfhiqw])|(?<![dfhip])y(?![adfhipqw])": "t",
    "[ly]|t(?=f)": "w",
}
_THING = f"[hp]?{_WORD}+(?:[fh]{_WORD}+)*"
_GRAMMAR = re.compile(
    rf"(?P<word>(?<!{_ANY})[adfhipqwo]+x{_ANY}*)"  # "a dog or not a cat": no query says that
    rf"|(?P<unlike>n{_THING}(?:[ox]+n?{_THING})*b?|m{_ANY}|z)"
    rf"|(?P<like>(?<!{_ANY})e?{_ANY}+(?:o+{_ANY}+)+)"
    "|(?P<taken>n?t(?:ot)*)|(?P<literal>k)|(?P<quote>q)"
)
_SHARED = (  # what stands before and after alternatives of one kind belongs to each of them
    f"({_ANY}*?)(a(?:o+a)+|[di]a(?:o+[di]a)+|(?<![afw])w(?:o+w)+)({_ANY}*)",  # a red or blue car
    f"({_ANY}*?)([hp]{_WORD}+(?:o+[hp]{_WORD}+)+)()",  # a dog on the beach or in the snow
    rf"({_ANY}*?)(([adiw]){_WORD}*(?:o+\3{_WORD}*)+)()",  # a man with a dog or a cat
    rf"()(([adiw]){_WORD}*(?:o+\3{_WORD}*)+)([hp]{_ANY}*)",  # a dog or a cat in the snow
    "()(.*)()",
)
_MEANINGS = {
    "like": "either {}",
    "unlike": "unlike {}",
    "taken": "taken {}",
    "literal": "plain words",
    "quote": "as it stands",
}
_LAST = seconds(datetime.max)
_Periods = list[tuple[int, int]]


class Part(NamedTuple):
    """Words as they were typed, what they were read as, and whether that is on."""

    typed: str
    meaning: str
    on: bool


@dataclass(frozen=True)
class Reading:
    """What a text asks for: a query, conditions for `search`, and which words were read as what."""

    query: "queries.Term | queries.Query"
    where: dict[str, Any]
    parts: tuple[Part, ...]

    def within(self, where: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return these conditions together with others, such as those of boxes.

        Raises
        ------
        ValueError
            If no date suits both.
        """
        both = {**(where or {}), **self.where}
        if where and "taken" in where and "taken" in self.where:
            sides = {"the words": self.where["taken"], "the filter": where["taken"]}
            both["taken"] = _agreed([(who, _periods(taken)) for who, taken in sides.items()])
        return both


class _Token(NamedTuple):
    kind: str
    start: int
    end: int
    words: str
    when: _Periods


def read(words: str, today: date | None = None, literal: Sequence[str] = ()) -> Reading:
    """..."""
    text = " ".join(queries.visible(words).split())
    tokens = [] if re.search(_FOREIGN, text) else _tokens(text, today or date.today(), literal)
    terms: dict[str, list] = {"like": [], "unlike": []}
    left, times, parts = [*tokens], [], []
    for match in _GRAMMAR.finditer("".join(token.kind for token in tokens)):
        role, own = match.lastgroup or "word", tokens[match.start() : match.end()]
        typed, meaning = text[own[0].start : own[-1].end], ""
        if role in terms:
            options = _alternatives([token for token in own if token.kind not in "nmeb"])
            terms[role].append(queries.AnyOf(*options) if len(options) > 1 else options[0])
            meaning = " or ".join(options)
        elif role == "taken":
            times.append((typed, _when(own)))
            meaning = _told(times[-1][1])
        if meaning:
            left = [token for token in left if token not in own]
        if role != "word":
            parts.append(Part(typed, _MEANINGS[role].format(meaning), role != "literal"))
    rest = _joined(text, left) if parts else text
    like = [rest, *terms["like"]] if rest else terms["like"]
    like = like or [text] * (not terms["unlike"])
    simple = len(like) == 1 and not terms["unlike"]
    query = like[0] if simple else queries.Query(like, terms["unlike"])
    return Reading(query, {"taken": _agreed(times)} if times else {}, tuple(parts))


def _tokens(text: str, today: date, literal: Sequence[str]) -> list[_Token]:
    kinds = {"k": "|".join(map(re.escape, literal)) or "(?!)", **_KINDS}
    pattern = "|".join(rf"(?P<{kind}>{words})(?![\w'’-])" for kind, words in kinds.items())
    tokens = []
    for match in re.finditer(f"{pattern}|{_REST}", text, re.IGNORECASE):
        kind, words = match.lastgroup or "w", match.group()
        when = _days(words.lower(), today) if kind in "tl" else []
        if kind in "tl":
            kind = ("y" if words.isdecimal() else kind) if when else "w"
        if kind == "q":
            words = words[1:-1].strip()
        tokens.append(_Token(kind, *match.span(), "people" if kind == "z" else words, when))
    kinds = "".join(token.kind for token in tokens)
    for pattern, letters in _TIDY.items():
        kinds = re.sub(pattern, letters, kinds)
    return [token._replace(kind=kind) for token, kind in zip(tokens, kinds, strict=True)]


def _days(words: str, today: date) -> _Periods:
    """Return the period that words ask for, if they are dates of photos."""
    try:
        times = [spoken(each, today) for each in re.findall(SPOKEN, words)]
    except ValueError:
        return []
    first, last = min(times)[0], max(times)[1]
    how = words.split()[0]
    starts = {"before": FIRST, "until": FIRST, "till": FIRST, "after": last + 1}
    ends = {"before": first - 1, "since": _LAST, "after": _LAST}
    possible = 1826 <= moment(first).year <= today.year + 1  # from the first photo on
    return [(starts.get(how, first), ends.get(how, last))] if possible else []


def _alternatives(tokens: list[_Token]) -> list[str]:
    """Return the alternatives of an or, each with what it shares with the others."""
    kinds = "".join(token.kind for token in tokens)
    match = next(filter(None, (re.fullmatch(pattern, kinds) for pattern in _SHARED)))
    before, after = tokens[: match.end(1)], tokens[match.start(match.lastindex) :]
    split = groupby(tokens[slice(*match.span(2))], lambda token: token.kind in "ox")
    options = [[*before, *option, *after] for is_or, option in split if not is_or]
    return [" ".join(token.words for token in option) for option in options]


def _joined(text: str, tokens: list[_Token]) -> str:
    """Return words as they stood, with a comma only where words are on both sides."""
    kinds = "".join(token.kind for token in tokens)
    kept = [tokens[match.start()] for match in re.finditer("[^c]|(?<=[^c])c(?=c*[^c])", kinds)]
    spaces = [" " * (text[token.start - 1 : token.start] == " ") for token in kept]
    return "".join(map("".join, zip(spaces, (token.words for token in kept), strict=True))).strip()


def _when(tokens: list[_Token]) -> _Periods:
    when = [each for token in tokens for each in token.when]
    if tokens[0].kind != "n":
        return when
    return reduce(_common, [[(FIRST, first - 1), (last + 1, _LAST)] for first, last in when])


def _common(some: _Periods, others: _Periods) -> _Periods:
    pairs = [(max(a, c), min(b, d)) for a, b in some for c, d in others]
    return [pair for pair in pairs if pair[0] <= pair[1]]


def _agreed(asked: list[tuple[str, _Periods]]) -> Any:
    """Return the dates that suit all, as `search` takes them."""
    if common := reduce(_common, [when for _, when in asked]):
        ends = [*map(_ends, common)]
        return ends if len(ends) > 1 else ends[0]
    told = " and ".join(f"{who} ({_told(when)})" for who, when in asked)
    raise ValueError(f"no date suits all of these, so leave one out: {told}")


def _periods(taken: Any) -> _Periods:
    """Return what a condition on dates asks for."""
    values = listed(taken)
    pairs = [
        each if isinstance(each, tuple) else (each, each)
        for each in (values if isinstance(values, list) else [values])
    ]
    return [
        (FIRST if low is None else period(low)[0], _LAST if high is None else period(high)[1])
        for low, high in pairs
    ]


def _ends(when: tuple[int, int]) -> tuple[str | None, str | None]:
    low, high = (str(moment(second)) for second in when)
    first, last = low.removesuffix(" 00:00:00"), high.removesuffix(" 23:59:59")
    return first if when[0] > FIRST else None, last if when[1] < _LAST else None


def _told(when: _Periods) -> str:
    ends = [zip(("from", "until"), _ends(each), strict=True) for each in when]
    return " or ".join(" ".join(f"{word} {end}" for word, end in each if end) for each in ends)
