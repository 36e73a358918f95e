"""What people type, read by rules: not, or, quotes, and dates.

A text becomes tokens, whose kinds are letters, and the grammar is a pattern of these letters. To
add a word, add it to a table. Not about searching for what was read: that is `queries`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from typing import Any, NamedTuple

from ..dates import FIRST, SPOKEN, moment, period, seconds, spoken
from ..settings import listed
from . import queries

_FOREIGN = (  # words that English does not have
    r"(?i)\b(der|das|ein|eine|einen|und|oder|nicht|ohne|mit|auf|ist|une|des|avec|sans|dans|et|pas|"
    r"un|uno|una|pero|perro|gato|gli|nel|senza|um|uma|com|sem|não|em|een|het|zonder|niet)\b"
)
_FIXED = (  # sayings, in which no word is read
    r"(?:an?|the) (?:no|do not) [\w ]+?(?= signs?\b)|do(?:es)? not \w+|not without|yes or no|"
    r"no (?:parking|smoking|swimming|fishing|entry|exit|u-turns?|\w+ allowed)(?= signs?\b|$|,)|"
    "no (?:man['’]s|idea|matter|doubt|longer|more|way|problem)|black or white (?:photo|picture)s?|"
    "not (?:only|just|even|yet|all|bad|guilty|found|for sale)|why not|whether or not|more or less|"
    r"trick or treat|dead or alive|rain or shine|(?:an? \w+|one|two|three) or (?:two|three)"
)
_LEAD = "(?:(?:that|which|who|where|there|is|are|has|have|with|but|and|everything|anything) ){0,4}"
_NOT = (
    "not(?: showing)?|no|without|except(?: for)?|excluding|other than|instead of|neither|"
    "(?:every|any)thing but|(?:is|are|has)n['’]t|(?:that|who) do(?:es)?(?: not|n['’]t)(?: have)?"
)
_TIME = f"(?:the )?(?:year )?{SPOKEN}"
_TIMES = f"{_TIME} ?(?:-|–|to|until|till) ?{_TIME}"
_KINDS = {  # of tokens, in the order in which they are tried
    "q": r"(?<!\w)\"[^\s\"][^\"]*\"|[“„«] ?[^ “”„«»][^“”„«»]*[”“»]|‘[^ ‘’][^‘’]*’|"
    r"(?<!\w)'\w[^']* [^']*\w'",  # quoted, in single straight quotes only if it is two words
    "w": _FIXED,
    "t": f"between {_TIME} and {_TIME}|from {_TIMES}|from {_TIME} on(?:wards)?(?= *(?:,|$))|"
    f"(?:(?:and |but )?(?:since|after|before|until|till)|in|on|during|from|taken|taken in|between|"
    f"(?<=photos )of) {_TIME}",  # a time
    "y": r"\d{4}(?! ?[-–] ?\d| (?:to|until|till) )",  # a lone year
    "l": f"{_TIMES}|{_TIME}",  # another lone time
    # an "and" between two dates, an "or" before a not, a not with its noun
    "g": f"and(?= (?:in |on |from )?{_TIME})",
    "x": "or (?:not|no|without)",
    "z": f"{_LEAD}(?:nobody|no[ -]one)",
    "n": f"{_LEAD}(?:{_NOT})",
    "o": "n?or",
    "e": "either",
    "b": "but",
    # prepositions: those that end what a not takes, those that do not, those that end no noun
    "p": "in front of|next to|in|on|at|under|over|near|behind|beside|beneath|below|above|by|from|"
    "through|across|along|around|against|among|between|inside|outside|before|after|during|into",
    "h": "with|wearing|holding|carrying",
    "f": "of|to|for|about|like|as|than",
    # what begins a noun: unknown things, known things, adjectives
    "i": "an?|some|any",
    "d": r"the|my|our|your|his|her|their|its|this|that|early|late|\w+['’]s",
    "a": "red|orange|yellow|green|blue|purple|pink|brown|black|white|gr[ae]y|gold(?:en)?|silver|"
    "dark|light|big|large|small|little|old|young|wet|dry",
}
_REST = (
    r"(?P<c>[,;:.!?()\[\]—]+|--+|(?<!\S)[-–](?!\S))"  # a comma, or what is like one
    r"|(?P<m>(?<![^\s(,])[-−–](?=[\"“„«]|[^\W\d_]{2}))"  # a minus
    r"|(?:[^\s,;:.!?()\[\]—]|(?<=\d),(?=\d)|(?<=\w)[.:](?=\w))+"
)
# besides: a comma (c), a minus (m), what was taken off (k), and another word (w)
_WORD, _ANY, _ITEM = "[adiqw]", "[adfhipqw]", "[adfiqw]*"
_LETTERS = {  # of tokens whose kind is known only from those around them
    "co": "oo",  # a comma before an or
    rf"(?<![aqw])(?:(?<![di])|(?=a))([adiqw])({_ITEM})c(?=(?:\1{_ITEM}c)*\1{_ITEM}o)": r"\1\2o",
    # a date, unless it belongs to a noun: the 2019 model, a march of people, class of 2019
    "(?:(?<![dfhipo])|(?<=[tly][go]))l(?![afqw])": "t",
    "(?<![adfhipqwo])y(?![adfhiqw])|(?:(?<![dfhipo])|(?<=[tly][go]))y(?![adfhipqw])": "t",
    "[ly]|t(?=f)|g(?!t)|(?<!t)g": "w",
}
_THING = f"[hp]?{_WORD}+(?:[fh]{_WORD}+)*"
_GRAMMAR = re.compile(
    rf"(?P<word>(?<!{_ANY})[adfhipqwo]+x{_ANY}*)"  # a dog or not a cat: no query says that
    rf"|(?P<unlike>n{_THING}(?:[ox]+n?{_THING})*b?|m{_ANY}|z)"
    rf"|(?P<like>(?<!{_ANY})e?{_ANY}+(?:o+{_ANY}+)+)(?![adfhipqwo])"
    "|(?P<taken>n?t(?:[go]t)*)|(?P<literal>k)|(?P<quote>q)"
)
_SHARED = (  # what stands before and after alternatives of one kind belongs to each of them
    f"({_ANY}*?)(a(?:o+a)+|[di]a(?:o+[di]a)+)({_ANY}*)",  # a red or blue car
    f"((?:{_ANY}*[di])?)(w(?:o+w)+)(w{_ANY}*)",  # a wooden or metal chair
    f"({_ANY}*?)([hp]{_WORD}+(?:o+[hp]{_WORD}+)+)()",  # a dog on the beach or in the snow
    rf"((?:{_ANY}*[dfhp])?)(([adiw]){_WORD}*(?:o+\3{_WORD}*)+)()",  # a man with a dog or a cat
    f"()({_WORD}+(?:o+{_WORD}+)+)([hp]{_ANY}*)",  # a dog or a cat in the snow
    "()(.*)()",
)
_MEANINGS = {"like": "either ", "unlike": "unlike ", "taken": "taken ", "word": ""}
_MEANINGS |= {"literal": "plain words", "quote": "as it stands"}
_LAST = seconds(datetime.max)
_Periods = list[tuple[int, int]]


class Part(NamedTuple):
    """Words as they were typed, what they were read as, and whether that is on."""

    typed: str
    meaning: str
    on: bool


class Reading(NamedTuple):
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


def read(words: str, today: date | None = None, literal: Sequence[str] = ()) -> Reading:
    """Return how a text is read: a query, conditions, and what became of which words.

    Parameters
    ----------
    words : str
        "a dog, not black, in the snow, winter 2019" becomes
        `Query(["a dog, in the snow"], ["black"])` and
        `{"taken": ("2019-12-01", "2020-02-29")}`.
    today : date, optional
        What "last summer" counts from; today if it is not given.
    literal : sequence of str
        Parts, as typed, that are plain words this time, though they could be read.

    Returns
    -------
    Reading
        `query` is the text itself, or an `AnyOf`, where nothing else is asked, so that a text
        alone keeps its verdict.

    Raises
    ------
    ValueError
        If no date suits all that were typed: "before 2018, since 2019".

    Notes
    -----
    - What is neither a date, nor after a *not*, nor beside an *or*, stays one text, as it stood.
    - *Not* takes what follows up to a comma, a "but", or a preposition; a preposition right after
      it belongs to it, and so do "of" and "with". So "a dog without a leash on the beach" is on
      the beach, and "not a cloud in the sky" is a sky without a cloud: to a model that overlooks
      a *not*, these words mean clouds. A minus takes one word, or what is in quotes.
    - *Or* binds closer than *not*: "not red or blue" is neither. Alternatives share what stands
      around them, as in "a red or blue car" and "a dog or a cat in the snow". An *or* of which
      one side is a *not* stays words, as no query says that.
    - Quotes keep a phrase as it stands, sayings and signs ("no parking") need none. A quote that
      is not closed is a letter like others.
    - A date is read after a word such as "in", "since" or "before", or where it stands alone; a
      year alone at the end or after a comma. Years are those of photos: from 1826 until the next.
      "From 2019" is in 2019, "from 2019 on" is since. What is no date ("30 February 2019"), or may
      be two ("01/02/2019"), stays words, and so does a month or season without a year. Where
      nothing but a date was typed, it is the query as well.
    - Only English is read. A text with a word that only another language has ("un", "nicht") stays
      as it is. Without one, a Spanish "no" and a German "in 2019" are read as the English ones,
      which is what they mean; a Portuguese "no" is not what it means.
    """
    text, today = " ".join(queries.visible(words).split()), today or date.today()
    tokens = [] if re.search(_FOREIGN, text) else _tokens(text, literal)
    kinds = left = _kinds(tokens, today)
    terms: dict[str, list[queries.Term]] = {"like": [], "unlike": []}
    times, parts = [], []
    for match in _GRAMMAR.finditer(kinds):
        role, own = match.lastgroup or "", tokens[slice(*match.span())]
        typed, meaning = text[own[0].start() : own[-1].end()], _MEANINGS[role]
        if role in terms:
            options = _alternatives(own, match.group())
            terms[role].append(queries.AnyOf(*options) if options[1:] else options[0])
            meaning += " or ".join(options)
        elif role == "taken":
            times.append((typed, _when(own, today)))
            meaning += _told(times[-1][1])
        if role in (*terms, "taken"):
            left = left[: match.start()] + "-" * len(own) + left[match.end() :]
        parts += [Part(typed, meaning, role != "literal")] if meaning else []
    like, unlike = terms.values()
    rest = _joined(tokens, left) if any(part.on for part in parts) else text
    like = [rest, *like] if rest else like
    query = queries.Query(like, unlike) if unlike or like[1:] else [*like, text][0]
    return Reading(query, {"taken": _agreed(times)} if times else {}, tuple(parts))


def _tokens(text: str, literal: Sequence[str]) -> list[re.Match]:
    taken_off = sorted(filter(None, literal), key=len, reverse=True)
    kinds = {"k": "|".join(map(re.escape, taken_off)) or "(?!)", **_KINDS}
    end = r"(?![\w'’/-]|\.\d)"
    pattern = "|".join(f"(?P<{kind}>{words}){end}" for kind, words in kinds.items())
    return [*re.finditer(f"{pattern}|{_REST}", text, re.IGNORECASE)]


def _kinds(tokens: list[re.Match], today: date) -> str:
    """Return the kinds of tokens, once it is known which are dates, and which commas mean or."""
    found = [(token, token.lastgroup or "w") for token in tokens]
    kinds = "".join("w" if k in "tly" and not _days(token, today) else k for token, k in found)
    for pattern, letters in _LETTERS.items():
        kinds = re.sub(pattern, letters, kinds)
    return kinds


def _words(token: re.Match) -> str:
    words = token.group()
    return words[1:-1] if token.lastgroup == "q" else words.strip("()[]")


def _days(token: re.Match, today: date) -> _Periods:
    """Return the period that a token asks for, if it is a date that a photo may have."""
    words = token.group().lower()
    try:
        times = [spoken(each, today) for each in re.findall(SPOKEN, words)]
    except ValueError:
        return []
    first, last = min(times)[0], max(times)[1]
    how = re.sub("^(and|but) ", "", words).split()[0]
    how = "since" if words.endswith(("on", "onwards")) else how
    starts = {"before": FIRST, "until": FIRST, "till": FIRST, "after": last + 1}
    ends = {"before": first - 1, "since": _LAST, "after": _LAST}
    possible = 1826 <= moment(first).year <= today.year + 1  # from the first photo on
    return [(starts.get(how, first), ends.get(how, last))] if possible and first < last else []


def _alternatives(tokens: list[re.Match], kinds: str) -> list[str]:
    """Return the alternatives of an or, each with what it shares with the others."""
    if kinds == "z":
        return ["people"]
    tokens = [token for token, kind in zip(tokens, kinds, strict=True) if kind not in "nmeb"]
    kinds = re.sub("[nmeb]", "", kinds)
    match = next(filter(None, (re.fullmatch(pattern, kinds) for pattern in _SHARED)))
    before, after = tokens[: match.end(1)], tokens[match.start(match.lastindex or 0) :]
    either = re.compile("[^ox]+").finditer(kinds, *match.span(2))
    options = [[*before, *tokens[slice(*each.span())], *after] for each in either]
    return [" ".join(map(_words, option)) for option in options]


def _joined(tokens: list[re.Match], kinds: str) -> str:
    """Return the words that are left, with commas only between them."""
    left = [token for token, kind in zip(tokens, kinds, strict=True) if kind != "-"]
    kept = re.finditer("[^c]|(?<=[^c])c(?=c*[^c])", kinds.replace("-", ""))
    words = [_words(left[match.start()]) for match in kept]
    return re.sub(r" +([,;:.!?])", r"\1", " ".join(filter(None, words)))


def _when(tokens: list[re.Match], today: date) -> _Periods:
    """Return the periods that some of the tokens are, or all others if the first is a not."""
    dates = (token for token in tokens if (token.lastgroup or "") in "tly")
    when = [each for token in dates for each in _days(token, today)]
    if tokens[0].lastgroup != "n":
        return when
    others = [[(FIRST, first - 1), (last + 1, _LAST)] for first, last in when]
    return reduce(_common, others, [(FIRST, _LAST)])


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
    values = listed(taken)
    ranges = values if isinstance(values, list) else [values]
    pairs = [each if isinstance(each, tuple) else (each, each) for each in ranges]
    return [(period(low or date.min)[0], period(high or date.max)[1]) for low, high in pairs]


def _ends(when: tuple[int, int]) -> tuple[str | None, str | None]:
    low, high = (str(moment(second)) for second in when)
    first, last = low.removesuffix(" 00:00:00"), high.removesuffix(" 23:59:59")
    return first if when[0] > FIRST else None, last if when[1] < _LAST else None


def _told(when: _Periods) -> str:
    ends = [zip(("from", "until"), _ends(each), strict=True) for each in when]
    return " or ".join(" ".join(f"{word} {end}" for word, end in each if end) for each in ends)
