"""Lead-3 and what it stands on: where sentences end, how long a summary may be, and which corpora have articles."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from baselines.base import Decoding, NotTractable, Writer
from baselines.extraction import ExtractConfig, shortened, token_limit
from baselines.lead3 import Lead3
from baselines.sentences import split_sentences
from tasks.base import Corpus, Example, Ragged, Split
from tasks.text import Characters, Codec, build_vocabulary
from tests.fakes import FakeRun
from tests.toys import conditional_corpus, free_corpus

TINY: dict[str, Any] = {"max_tokens": "train"}
GREEDY = Decoding("greedy")
WORDS = conditional_corpus(9).target_codec  # words split at blanks


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("We show this in Fig. 3. It is 3.14 times faster.", ["We show this in Fig. 3.", "It is 3.14 times faster."]),
        ("Some, e.g. Mr. J. R. Smith and Dr. Who. We don't.", ["Some, e.g. Mr. J. R. Smith and Dr. Who.", "We don't."]),
        ("Take vitamin C. We do.", ["Take vitamin C.", "We do."]),
        ("mr. x came . we left .", ["mr. x came .", "we left ."]),
        ("As in Smith et al. It fails.", ["As in Smith et al.", "It fails."]),
        ("Smith et al. Nature 3 has it.", ["Smith et al. Nature 3 has it."]),
        ("The U.S. President left the U.S. He was old.", ["The U.S. President left the U.S.", "He was old."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ('"Is it?" he asked. (It is.) Yes.', ['"Is it?" he asked.', "(It is.)", "Yes."]),
        ("No. 5 won. Not in vol. 2. We saw p. 7.", ["No. 5 won.", "Not in vol. 2.", "We saw p. 7."]),
        ("It fell by 3. 14 people left.", ["It fell by 3.", "14 people left."]),
        ("1. First item. 2. Second item.", ["1. First item.", "2. Second item."]),
        ("Wait... What?! Really", ["Wait...", "What?!", "Really"]),
        ("the u.s. army came. we left! 3.5 remained", ["the u.s. army came.", "we left!", "3.5 remained"]),
        ("see gantlet.py and a.b.c", ["see gantlet.py and a.b.c"]),
        ("One line\nand a second. Third\n\n  \nlast", ["One line", "and a second.", "Third", "last"]),
        ("他来了。我走了！“好吗？”他问。", ["他来了。", "我走了！", "“好吗？”", "他问。"]),
        ("提出了新方法.仿真结果(P<0.05).结论", ["提出了新方法.", "仿真结果(P<0.05).", "结论"]),
        ("达到0.05.结论好,是3.5倍", ["达到0.05.", "结论好,是3.5倍"]),
        ("步骤:1.采用新法;2.检验", ["步骤:1.采用新法;2.检验"]),
        ("", []),
        (" \n ", []),
        ("...", ["..."]),
        (". . .", [". . ."]),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("a b c d", 2, "a b"),
        ("a b c d", 9, "a b c d"),
        ("a  b\tc", 2, "a  b"),
        ("abc", 1, "abc"),
    ],
)
def test_a_text_is_cut_after_whole_words(text: str, most: int, kept: str) -> None:
    assert shortened(text, most, WORDS) == kept


def test_chinese_is_cut_after_a_character_and_a_word_too_long_for_the_budget_stays_whole() -> None:
    vocab = build_vocabulary([list("研究了SOS方法。")])
    codec = Codec(vocab, Characters())
    assert shortened("研究了SOS方法。", 2, codec) == "研究"
    assert shortened("研究了SOS方法。", 5, codec) == "研究了"  # SOS would be three more
    assert shortened("SOS方法", 1, codec) == "SOS"


def articles(task: str = "summarization") -> Corpus:
    """The toy with one article of four sentences for every row."""
    corpus = conditional_corpus(40)

    def split(old: Split) -> Split:
        examples = (Example(e.target, ("A b cc. D e f gg. H hh. A a a aa.",), e.references) for e in old.examples)
        return Split(tuple(examples), old.targets, old.sources)

    splits = {name: split(old) for name, old in corpus.splits.items()}
    return dataclasses.replace(corpus, task=task, splits=splits)


def lead(corpus: Corpus, **settings: Any) -> str:
    writer = Lead3(ExtractConfig(**settings)).fit(corpus, FakeRun())
    assert isinstance(writer, Writer)
    sources, examples = corpus.splits["test"].sources, corpus.splits["test"].examples
    assert sources is not None
    texts, ids = writer.write(sources, [e.source for e in examples], decoding=GREEDY, rng=torch.Generator())
    assert ids is None
    assert len(texts) == len(examples)
    return texts[0]


def test_three_whole_sentences_one_a_line() -> None:
    assert lead(articles()) == "A b cc.\nD e f gg.\nH hh."
    assert lead(articles(), sentences=1) == "A b cc."
    assert lead(articles(), sentences=9).count("\n") == 3


@pytest.mark.parametrize(
    ("most", "text"), [(3, "A b cc."), (5, "A b cc.\nD e"), (7, "A b cc.\nD e f gg."), (8, "A b cc.\nD e f gg.\nH")]
)
def test_a_budget_of_tokens_runs_over_the_sentences(most: int, text: str) -> None:
    assert lead(articles(), max_tokens=most) == text


def test_the_budget_of_the_training_summaries_is_their_mean_length() -> None:
    corpus = articles()
    lengths = [len(example.target.split()) for example in corpus.splits["train"].examples]
    assert token_limit(corpus, ExtractConfig(max_tokens="train")) == round(sum(lengths) / len(lengths))
    cut = Split(corpus.splits["train"].examples, Ragged.from_lists([[2, 3, 4], [2, 0]]), None)  # the first has no end
    corpus = dataclasses.replace(corpus, splits={**corpus.splits, "train": cut})
    assert token_limit(corpus, ExtractConfig(max_tokens="train")) == 2
    assert token_limit(corpus, ExtractConfig()) is None


def test_answers_as_ids_are_cut_at_the_length_limit() -> None:
    corpus = articles()
    sources = corpus.splits["test"].sources
    assert sources is not None
    made = Lead3().fit(corpus, FakeRun()).generate(sources, decoding=GREEDY, rng=torch.Generator())
    assert len(made) == len(sources)
    assert made.lengths.max() <= corpus.max_target_length
    assert all(row[-1] == 0 for row in map(made.__getitem__, range(len(made))))


def test_saved_and_loaded_the_budget_is_the_same() -> None:
    corpus = articles()
    first = Lead3(ExtractConfig(max_tokens="train")).fit(corpus, FakeRun())
    second, whole = Lead3().build(corpus), Lead3().build(corpus)
    second.load_state_dict(first.state_dict())
    whole.load_state_dict(Lead3().fit(corpus, FakeRun()).state_dict())
    assert second.lead("A b c d e f g h.") == first.lead("A b c d e f g h.") != "A b c d e f g h."
    assert whole.max_tokens is None
    with pytest.raises(NotTractable, match="distribution"):
        first.token_log_probs(corpus.splits["test"].targets)


def test_only_corpora_of_articles_are_supported() -> None:
    assert "source" in (Lead3().supports(free_corpus(9)) or "")
    assert "language" in (Lead3().supports(articles("translation")) or "")
    corpus = articles()
    assert Lead3().supports(corpus) is None
    train = corpus.splits["train"]
    turns = (Example("yes", ("hello", "is it?")), *train.examples[1:])
    chat = dataclasses.replace(corpus, splits={**corpus.splits, "train": Split(turns, train.targets, train.sources)})
    assert "dialogue" in (Lead3().supports(chat) or "")


@pytest.mark.parametrize("budget", ["smoke", "small", "paper"])
def test_presets_are_valid_and_only_the_papers_are_three_whole_sentences(budget: str) -> None:
    config = ExtractConfig.model_validate(Lead3.preset(budget, "summarization", "conditional"))
    assert config.max_tokens == (None if budget == "paper" else "train")
