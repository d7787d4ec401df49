"""A task of one's own and a metric of one's own: slogans of a few words, and how many of them end like a sentence."""

import numpy as np

from metrics.base import MeanMetric
from tasks.base import FREE_TEXT, Example, Provenance, Task, TaskOptions
from tasks.checks import text_of
from tasks.encoding import Side
from tasks.loading import Plan, load
from tasks.text import Words


class SloganOptions(TaskOptions):
    max_tokens: int = 16


class Slogans(Task):
    name, version, kind, summary = "slogans", 1, "free", "slogans, word by word"
    metrics, primary, decodings = (*FREE_TEXT, "finished"), "bleu-2", ("sample@1",)
    provenance = Provenance("our own", "all rights reserved")
    Options = SloganOptions

    @property
    def tokens(self):  # how metrics cut the text
        return "word-lower"

    def load(self, source, limit=None, *, allow_overlap=False):
        side = Side(tokeniser=Words(lower=True), max_tokens=self.options.max_tokens, max_vocab=2000)
        return load(self, Plan("slogans", parse, side), source, limit, allow_overlap=allow_overlap)


def parse(row):
    return Example(text_of(row, "text"))  # a text that is missing or empty is an error with the file and the line


class Finished(MeanMetric):
    name, summary = "finished", "share of texts that end in . ! or ?"
    source, blind = "this example", "everything but the last character"

    def values(self, work):
        return np.array([text.rstrip().endswith((".", "!", "?")) for text in work.material.samples], dtype=np.float64)

    def fields(self, material):
        return {"hyps": str(len(material.samples))}
