"""What people type, read by rules: not, or, quotes, and dates.

A text becomes tokens, each of a kind that is a letter, see `_KINDS`; the grammar is a pattern of
these letters. To add a word, add it to a kind. Not about searching for what was read: that is
`queries`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from ..dates import SPOKEN, moment, period, spoken
from . import queries

_FOREIGN = (  # words that English does not have
    r"(?i)\b(der|das|ein|eine|einen|und|oder|nicht|ohne|mit|auf|ist|une|des|avec|sans|dans|et|pas|"
    r"un|uno|una|pero|perro|gato|gli|nel|senza|um|uma|com|sem|não|em|een|het|zonder|niet)\b"
)
_LEAD = "(?:(?:that|which|who|where|there|is|are|has|have|with|but|and|everything|anything) ){0,4}"
_TIME = f"(?:the )?(?:year )?{SPOKEN}"
_IN_TIME = f"(?:(?:in|on|from) )?{_TIME}"
_TIMES = f"{_TIME} ?(?:-|–|to|until|till) ?{_TIME}"
_KINDS = {  # of tokens, in the order in which they are tried; then those of `_REST`
    # quoted
    "q": r"(?<!\w)\"[^\s\"][^\"]*\"|[“„«] ?[^ “”„«»][^“”„«»]*[”“»]|‘[^ ‘’][^‘’]*’",
    # a word like any other, or a saying in which no word is read; lists of dates are one
    "w": r"(?:an?|the) (?:no|do not) [\w ]+?(?= signs?\b)|do(?:es)? not \w+|not without|yes or no|"
    r"no (?:parking|smoking|swimming|fishing|entry|exit|u-turns?|\w+ allowed)(?= signs?\b|$|,)|"
    "no (?:man['’]s|idea|matter|doubt|longer|more|one|way|problem)|black or white photo|"
    "not (?:only|just|even|yet|all|bad|guilty|found|for sale)|why not|whether or not|more or less|"
    r"trick or treat|dead or alive|rain or shine|(?:an? \w+|one|two|three) or (?:two|three)|"
    f"(?:{_IN_TIME},? )*(?:and|or) {_IN_TIME}|from {_TIME} on(?:wards)?(?= *(?:,|$))",
    # a time, and one that stands alone, which may belong to a noun
    "t": f"between {_TIME} and {_TIME}|from {_TIMES}|(?<=photos )of {_TIME}|(?:(?:and |but )?"
    f"(?:since|after|before|until|till)|(?:taken )?(?:in|on|during|from)) {_TIME}",
    "l": f"{_TIMES}|{_TIME}",
    # a not, an or, and what goes with them
    "n": f"{_LEAD}(?:not(?: showing)?|no|without|except(?: for)?|excluding|other than|instead of|"
    "neither|(?:every|any)thing but|(?:is|are|has)n['’]t|"
    "(?:that|who) do(?:es)?(?: not|n['’]t)(?: have)?)",
    "o": "(?:, )?n?or",
    "b": "either|but",
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
_NAMED = "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items())
_TOKEN = rf"(?i)(?:{_NAMED})(?![\w'’/-]|\.\d)|{_REST}"  # compiled once something is read
_WORD, _ANY = "[adiqw]", "[adfhipqw]"
_LETTERS = {  # of tokens whose kind is known only from those around them
    "n[tl]": "ww",  # no date is a not
    # a comma between alternatives, which begin alike: a star, a fish or a bird
    rf"(?<!{_WORD})(({_WORD}){_WORD}*)c(?=(?:\2{_WORD}*c)*\2{_WORD}*o)|(a)c(?=(?:ac)*ao)": r"\1\3o",
    # a time, unless it belongs to a noun: the 2019 model, a march of people, class of 2019
    "(?<![dfhipo])l(?![adfiqwo])": "t",
    "l|t(?=f)": "w",
}
_THING = f"[hp]?{_WORD}+(?:[fh]{_WORD}+)*"
_GRAMMAR = re.compile(
    # no query says "a dog or not a cat"
    rf"(?P<unlike>(?<!o)n{_THING}(?:on?{_THING})*b?|m{_ANY})"
    rf"|(?P<either>(?<![adfhipqwn])b?{_ANY}+(?:o{_ANY}+)+)(?![adfhipqwo])"
    "|(?P<taken>t)|(?P<quote>q)"
)
_SHARED = (  # what stands before and after alternatives belongs to each of them
    rf"((?:{_ANY}*[adfhip])?)(({_WORD}+)(?:o\3)+)(?:[ahpw]{_ANY}*)?",  # a red or blue car
    f"()({_WORD}+(?:o{_WORD}+)+)[hp]{_ANY}*",  # a dog or a black cat in the snow
    "()(.*)",
)
_EDGES = r"^(?:[\s,;:.!?)\]—–]|-(?!\w))+|[()\[\]]|[\s(\[—–-]+$"  # of what nothing was read in
_Dates = tuple[str | None, str | None]


class Part(NamedTuple):
    """Words as they were typed, what they were read as, and whether that is on."""

    typed: str
    meaning: str
    on: bool

    def __repr__(self) -> str:
        return f"{self.typed!r}: {self.meaning}"


class Reading(NamedTuple):
    """What a text asks for: a query, conditions for `search`, and which words were read as what."""

    query: "queries.Term | queries.Query"
    where: dict[str, Any]
    parts: tuple[Part, ...]

    def within(self, where: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return these conditions together with others, such as those of boxes.

        If both name dates, those of the others must be one date or a pair (first, last), not lists.

        Raises
        ------
        ValueError
            If no date suits both.
        """
        both = {**(where or {}), **self.where}
        if where and "taken" in where and "taken" in self.where:
            other = where["taken"] if isinstance(where["taken"], tuple) else (where["taken"],) * 2
            both["taken"] = _agreed({"the words": self.where["taken"], "the filter": other})
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
        Parts, as typed, that are plain words this time, though they could be read; or all words.

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
    - A date is read after a word such as "in", "since" or "before", or where it stands alone: at
      the end, or before a comma or a preposition. Years are those of photos: from 1826 until the
      next. What is no date ("30 February 2019"), or may be two ("01/02/2019"), stays words, and so
      do a month or season without a year, dates after a *not*, and lists of them ("2018 or 2020").
      Where nothing but a date was typed, it is the query as well.
    - Only English is read. A text with a word that only another language has ("un", "nicht") stays
      as it is. Without one, a Spanish "no" and a German "in 2019" are read as the English ones,
      which is what they mean; a Portuguese "no" is not what it means.
    """
    text, today = " ".join(queries.visible(words).split()), today or date.today()
    if words in literal:
        return Reading(text, {}, (Part(words, "plain words", on=False),))
    tokens = [] if re.search(_FOREIGN, text) else [*re.finditer(_TOKEN, text)]
    kinds = "".join(token.lastgroup or "w" for token in tokens)
    for pattern, letters in _LETTERS.items():
        kinds = re.sub(pattern, letters, kinds)
    terms: dict[str, list[queries.Term]] = {"either": [], "unlike": []}
    times: dict[str, _Dates] = {}
    parts, left, end = [], [], 0
    for match in _GRAMMAR.finditer(kinds):
        role, own = match.lastgroup or "", tokens[slice(*match.span())]
        start, stop = own[0].start(), own[-1].end()
        typed = text[start:stop]
        meaning = f"{typed} as it stands"
        if typed in literal:
            parts.append(Part(typed, "plain words", on=False))
            continue
        if role in terms:
            options = _alternatives(own, match.group())
            terms[role].append(queries.AnyOf(*options) if options[1:] else options[0])
            meaning = f"{role} {' or '.join(options)}"
        elif role == "taken":
            if not (dates := _dates(typed, today)):
                continue
            times[typed] = dates
            meaning = f"taken {_told(dates)}"
        left += [text[end:start], typed[1:-1] if role == "quote" else ""]
        end = stop
        parts.append(Part(typed, meaning, on=True))
    kept = [re.sub(_EDGES, "", piece) for piece in [*left, text[end:]]]
    rest = " ".join(filter(None, kept)).rstrip(" ,;:.!?") if end else text
    like, unlike = terms.values()
    like = [rest, *like] if rest else like
    query = queries.Query(like, unlike) if unlike or like[1:] else [*like, text][0]
    return Reading(query, {"taken": _agreed(times)} if times else {}, tuple(parts))


def _words(token: re.Match) -> str:
    words = token.group()
    return words[1:-1] if token.lastgroup == "q" else words


def _alternatives(tokens: list[re.Match], kinds: str) -> list[str]:
    """Return the alternatives of an or, each with what it shares with the others."""
    tokens = [token for token, kind in zip(tokens, kinds, strict=True) if kind not in "nmb"]
    kinds = re.sub("[nmb]", "", kinds)
    match = next(filter(None, (re.fullmatch(pattern, kinds) for pattern in _SHARED)))
    before, after = tokens[: match.end(1)], tokens[match.end(2) :]
    either = re.compile("[^o]+").finditer(kinds, *match.span(2))
    options = [[*before, *tokens[slice(*each.span())], *after] for each in either]
    return [" ".join(map(_words, option)) for option in options]


def _dates(words: str, today: date) -> _Dates | None:
    """Return the first and the last day that words ask for, if a photo may be of then."""
    try:
        times = [spoken(each, today) for each in re.findall(SPOKEN, words.lower())]
    except ValueError:
        return None
    low, high = min(times)[0], max(times)[1]
    if not 1826 <= moment(low).year <= moment(high).year <= today.year + 1:  # from the first photo
        return None
    seconds = (low - 1, low, high, high + 1)
    before, first, last, after = (str(moment(second).date()) for second in seconds)
    ends: dict[str, _Dates] = {"before": (None, before), "until": (None, last)}
    ends |= {"till": (None, last), "since": (first, None), "after": (after, None)}
    how = re.sub("^(and|but) ", "", words.lower()).split()[0]
    return ends.get(how, (first, last))


def _agreed(asked: dict[str, _Dates]) -> _Dates:
    """Return the dates that suit all."""
    firsts, lasts = (filter(None, ends) for ends in zip(*asked.values(), strict=True))
    first = max(firsts, key=lambda day: period(day)[0], default=None)
    last = min(lasts, key=lambda day: period(day)[1], default=None)
    if first and last and period(first)[0] > period(last)[1]:
        told = " and ".join(f"{who} ({_told(dates)})" for who, dates in asked.items())
        raise ValueError(f"no date suits all of these, so leave one out: {told}")
    return first, last


def _told(dates: _Dates) -> str:
    first, last = dates
    return " ".join(filter(None, [first and f"from {first}", last and f"until {last}"]))
