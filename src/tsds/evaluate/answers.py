"""What a model's words are held against: the answer as the task has it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

_ANSWER_IS = re.compile(r"answer\s*(?:is|:)[\s:*]*(.+)", re.IGNORECASE)
#: A minus after a number, a word or a bracket is one of a difference or a range.
_NUMBER = re.compile(r"(?:(?<![\w)\]}%])-)?(?:\d[\d,]*(?:\.\d+)?|(?<![\w.])\.\d+)")
_OPTION = re.compile(r"\(([A-Za-z])\)")
#: A letter alone at the head, not the article or the pronoun.
_LETTER = re.compile(r"\W*([A-Za-z])(?=[^\S\n]*(?:\n|$)|[.):,;])")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_OTHER = re.compile(r"[^\w\s.()+-]")


def answer_in(words: str, answer: str) -> str:
    """The part of what a model wrote that is to be compared with the answer.

    What follows the last "the answer is", if that is there, else all of it. From this: where the answer is a number,
    the last number (the first one after "the answer is"); an option like (A), the first option, or a letter alone at
    the head; a letter, the other way round; yes or no, true or false and the like, the first of the two; else the first
    line.
    """
    found = _ANSWER_IS.findall(words)
    part = found[-1] if found else words
    if _NUMBER.fullmatch(answer.strip().lstrip("$")):
        numbers = _NUMBER.findall(part)
        return str(numbers[0 if found else -1]) if numbers else ""
    option = _OPTION.fullmatch(answer.strip())
    if option or re.fullmatch("[A-Za-z]", answer.strip()):
        head = _LETTER.match(part)
        options, alone = _OPTION.findall(part), [head[1]] if head else []
        letters = [*options, *alone] if option else [*alone, *options]
        if letters:
            return f"({letters[0]})" if option else letters[0]
        if option:
            return ""
    for pair in (("yes", "no"), ("true", "false"), ("valid", "invalid")):
        if answer.strip().lower() in pair:
            said = re.search(rf"\b({'|'.join(pair)})\b", part, re.IGNORECASE)
            return said[1] if said else ""
    lines = part.strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else ""


def normal(text: str) -> str:
    """Without case, articles, punctuation and commas in numbers; 3.0 as 3, .5 as 0.5. What is all of that stays."""
    text = text.lower().replace(",", "")
    for dress, instead in ((_OTHER, ""), (_ARTICLES, " ")):
        bare = dress.sub(instead, text)
        text = bare if bare.strip() else text
    words = [re.sub(r"^(-?)(?=\.\d+$)", r"\g<1>0", word.rstrip(".")) for word in text.split()]
    words = [re.sub(r"^(-?\d+)\.0+$", r"\1", word) for word in words]
    return " ".join(word for word in words if word)


def exact_match(said: str, answer: str) -> float:
    """1 if they are the same after normalisation; nothing said is never right."""
    return float(normal(said) == normal(answer) != "")


def best(score: Callable[[str, str], float], words: str, answers: Iterable[str]) -> float:
    """How well what a model wrote agrees with that one of several right answers which it agrees with best."""
    return max(score(answer_in(words, answer), answer) for answer in answers)


def token_f1(said: str, answer: str) -> float:
    """The harmonic mean of precision and recall of words, as SQuAD has it."""
    a, b = normal(said).split(), normal(answer).split()
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else 0.0
