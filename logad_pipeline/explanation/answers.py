"""An answer of a language model: its schema, and what makes it unusable.

Belongs here: reading and checking. What is asked is in ``language_model``, how in ``endpoint``, and the wordings
of refusals and judgements in ``verdict_words``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from logad_pipeline.explanation.redaction import WORDS as REDACTED_WORDS
from logad_pipeline.explanation.verdict_words import judges, refuses
from logad_pipeline.logs.log_tokenizer import EMPTY, TYPED_WORDS

_MARKUP: Final = re.compile(
    r"https?:|www\.|\]\(|<[a-z!/?]|[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]",
    re.I,
)
_NOTHING: Final = re.compile(r"\W*(?:none|nothing|no|nil|n/?a|not applicable|nothing at all|-)\W*", re.I)
_WORD: Final = re.compile(r"[^\W\d_][^\W_]{2,}")
_ENDING: Final = re.compile(r"(?<=\w{3})(?:ations?|ments?|ures?|ings?|ions?|ers?|ed|es|ly|(?<!s)s|e)$")
_FEWEST: Final = 2
_MANY: Final = 8

_OF_ANY_SENTENCE: Final = (
    "about above after again all also although and any are another around because been before being below between "
    "both but can cannot could did does doing done down during each either even ever every few for from further get "
    "gets got had has have having her here him his how however into its itself just least less like likely made make "
    "makes many may maybe might more most much must near need needs neither never new nor not nothing now off often "
    "old once one only onto other others our out over own part perhaps please probably put rather really same say "
    "says see seem seems seen several shall she should since some something soon still such take than that the their "
    "them then there these they thing things this those though three through thus too two under until upon use used "
    "uses using very was way well went were what when where whether which while who whose why will with within "
    "without would yes yet you your come comes came give given good bad right true false"
)
_OF_ANY_ALARM: Final = (
    "alarm alert anomalous anomaly cause check detected detector event evidence expected happened incident "
    "information level line log look message next normal number operator pattern place problem program reason record "
    "rare sequence share summary system text time unexpected unknown unusual usual value window word wrong"
)
_COMMON: Final = (*TYPED_WORDS, *REDACTED_WORDS, EMPTY, *_OF_ANY_SENTENCE.split(), *_OF_ANY_ALARM.split())
_COMMON_STEMS: Final = frozenset(_ENDING.sub("", word) for word in _COMMON)

Sentence = Annotated[str, Field(min_length=3, max_length=600)]


class Words(BaseModel):
    """The schema of an answer: what happened, why, what to look at next, and how sure that is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    summary: Sentence
    likely_cause: Sentence
    check_next: Annotated[list[Annotated[str, Field(min_length=3, max_length=300)]], Field(min_length=1, max_length=6)]
    confidence: Literal["low", "medium", "high"]


class NoAnswer(Exception):
    """There is none that can be used; the text says why."""


def schema() -> dict[str, Any]:
    """The schema of `Words`, with those limits left out that endpoints differ on; they are checked here."""
    text = {"type": "string"}
    return {
        "type": "object", "additionalProperties": False,
        "required": ["summary", "likely_cause", "check_next", "confidence"],
        "properties": {
            "summary": text, "likely_cause": text, "check_next": {"type": "array", "items": text},
            "confidence": {"type": "string", "enum": ["low", "medium", "high"]},
        },
    }  # fmt: skip


def telling_words(texts: Iterable[str]) -> frozenset[str]:
    """The words of lines that a sentence about something else would hardly hold, without their endings.

    >>> sorted(telling_words(["session opened for user", "the sessions time out"]))
    ['open', 'sess']
    """
    words = {word for text in texts for word in _WORD.findall(text.lower())}
    return frozenset(_ENDING.sub("", word) for word in words) - _COMMON_STEMS


def enough(known: frozenset[str]) -> bool:
    """Whether lines with these telling words say enough for an answer to be held against them."""
    return len(known) >= _FEWEST


def read_answer(body: bytes) -> dict[str, Any]:
    """The JSON object within a chat completion.

    Raises:
        NoAnswer: if there is none, or it refuses or breaks off.
    """
    try:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        refused, content, ended = message.get("refusal"), message.get("content"), choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise NoAnswer("it was no chat completion") from error
    if refused:
        raise NoAnswer("it refused")
    if ended in ("length", "content_filter"):
        raise NoAnswer(f"it broke off ({ended})")
    try:
        found = json.loads(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise NoAnswer("it was no JSON") from error
    if not isinstance(found, dict):
        raise NoAnswer("it was no object of the schema")
    return found


def checked(answer: dict[str, Any], known: frozenset[str], instructions: str) -> Words:
    """The answer, if it can be shown.

    Args:
        answer: as it was read.
        known: the telling words of the lines that it is about; its first two fields must hold two of them, or
            three where there are eight or more.
        instructions: what must not be repeated.

    Raises:
        NoAnswer: if it is outside its schema, holds markup, refuses, judges, or is about something else.
    """
    try:
        words = Words.model_validate(answer)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the object"
        raise NoAnswer(f"it is outside its schema at {where[:60]}") from error
    parts = [words.summary, words.likely_cause, *words.check_next]
    if any(_MARKUP.search(part) for part in parts):
        raise NoAnswer("it holds links, markup or control characters")
    if instructions[:60].lower() in " ".join(parts).lower():
        raise NoAnswer("it repeats its instructions")
    if any(map(refuses, parts)):
        raise NoAnswer("it refused")
    if any(map(judges, parts)) or any(map(_NOTHING.fullmatch, parts)):
        raise NoAnswer("it judges the alarm, which it was not asked to")
    said = telling_words((words.summary, words.likely_cause))
    if len(said & known) < (_FEWEST + 1 if len(known) >= _MANY else _FEWEST):
        raise NoAnswer("it has nothing to do with the evidence")
    return words
