"""A score's protocol in words: what each field of its signature says, and what the metric can and can't see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from metrics.base import Metric
from metrics.signature import parse

DIRECTIONS: Mapping[bool | None, str] = MappingProxyType(
    {True: "higher is better", False: "lower is better", None: "nearer to real text is better"}
)

_SMOOTHING = {
    "m1": "an order without a match counts as 0.1 matches (method 1 of Chen and Cherry 2014)",
    "none": "no smoothing: an order without a match makes a sentence 0",
    "nltk-3.2": "an order without a match is left out and the other weights stay (NLTK up to 3.2.5)",
    "exp": "exponential smoothing",
}
_TOKENS = {
    "nltk-lower": "NLTK's words of the lower-cased line",
    "nltk": "NLTK's words, cased",
    "char": "one token a character",
    "space": "split at white space",
    "13a": "sacreBLEU's 13a (mteval-v13a)",
    "zh": "sacreBLEU's zh (Chinese by characters)",
    "rouge-score": "rouge-score's own: lower-cased runs of a-z and 0-9",
    "char-lower": "lower-cased characters",
}
_MODELS = {"kn4": "4-grams, interpolated modified Kneser-Ney (Chen and Goodman 1999)"}
_UNKNOWN = {
    "train<2": "tokens seen less than twice in the training text are one word",
    "refs<2": "tokens seen less than twice in the references are one word",
}
_AGGREGATES = {"sent-mean": "the mean over samples of each one's value"}


def _references(value: str) -> str:
    if value == "others":
        return "all the other samples"
    if value == "first":
        return "the first reference of each item"
    count, _, kind = value.partition("/" if "/" in value else "-")
    if value.endswith("/item"):
        return f"each item's own, {value.removesuffix('/item')} of them"
    if kind == "rest":
        return f"the {count} samples of the file that are not scored"
    if kind == "with-self":
        return f"all {count} samples of the file, the scored one among them"
    return f"a pool of {value}, the same for all samples"


# field -> the words before its value, and how the value is said
_WORDS: Mapping[str, tuple[str, Callable[[str], str]]] = MappingProxyType(
    {
        "n": ("n-gram order", str),
        "hyps": ("samples scored", str),
        "refs": ("compared with", _references),
        "smooth": ("smoothing", lambda value: _SMOOTHING.get(value, value)),
        "weights": ("weights", lambda value: "order n alone" if value == "single" else value),
        "agg": ("aggregate", lambda value: _AGGREGATES.get(value, value)),
        "tok": ("tokens", lambda value: _TOKENS.get(value, value)),
        "T": ("sampling temperature", str),
        "dec": ("decoding", str),
        "data": ("data, with the hash of its content", str),
        "split": ("split", str),
        "items": ("texts scored", str),
        "tokens": ("tokens scored", str),
        "vocab": ("hash of the vocabulary", str),
        "oracle": ("hash of the oracle's weights", str),
        "train": ("training texts", str),
        "per": ("counted or divided by", str),
        "axes": ("axes of the curve", str),
        "real": ("real texts that the curve is measured from", str),
        "lm": ("language model", lambda value: _MODELS.get(value, value)),
        "words": ("words of the language model", str),
        "unk": ("unknown words", lambda value: _UNKNOWN.get(value, value)),
        "enc": ("features of a text, with a hash that pins them", str),
        "cov": ("covariance divided by", str),
        "src": ("sources", str),
        "eval": ("evaluator", str),
        "feat": ("its features, by version", str),
        "l2": ("its L2 penalty", str),
        "folds": ("cross-fitted in folds", str),
        "rare": ("a reply said at most so often is never both learned from and judged", str),
        "nrefs": ("references of an item", str),
        "case": ("case", str),
        "eff": ("effective order, for short texts", str),
        "version": ("version of sacreBLEU", str),
        "nc": ("longest n-gram of characters", str),
        "nw": ("longest n-gram of words", str),
        "space": ("blanks count as characters", str),
        "multi": ("of several references", lambda value: "the best" if value == "max" else value),
        "f": ("F-score with recall weighed", str),
        "stem": ("stemmer", str),
        "marks": ("marks that print for an unknown word", str),
        "k": ("clusters", str),
        "c": ("scaling", str),
        "pca": ("variance that the principal components keep", str),
        "kmeans": ("runs and rounds of k-means", str),
        "seed": ("seed", str),
        "lib": ("libraries", str),
        "unit": ("unit", str),
        "protocol": ("protocol", str),
        "v": ("version of the metric", str),
    }
)


def about(metric: Metric, higher_is_better: bool | None) -> list[str]:
    """What is true of the metric whatever it is used on, one line a fact."""
    low, high = metric.limits
    facts = [
        ("measures", metric.summary),
        ("better", DIRECTIONS[higher_is_better] + ("" if math.isnan(metric.human) else f", {metric.human:g}")),
        ("range", f"{low:g} to {high:g}{' ' + metric.unit if metric.unit else ''}"),
        ("source", metric.source),
        ("can't see", metric.blind),
    ]
    return [f"{name}: {text}" for name, text in facts if text]


def in_words(signature: str) -> list[str]:
    """Each field of a signature in words, one line a field; a field of a metric of one's own stands as it is."""
    fields = parse(signature)
    del fields["metric"]
    lines = []
    for key, value in fields.items():
        name, say = _WORDS.get(key, (key, str))
        lines.append(f"{name}: {say(value)}")
    return lines
