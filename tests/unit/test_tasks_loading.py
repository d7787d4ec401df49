"""From rows to a corpus: checks, lengths, counts, held-out rows, fingerprints."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from metrics import Material, score
from tasks.base import Corpus, DataError, Origin, Ragged, Row
from tasks.captions import Captions
from tasks.dialogue import Dialogue, DialogueOptions
from tasks.encoding import Side, SideText
from tasks.poetry import Poetry, PoetryOptions
from tasks.speech import Speech, SpeechOptions
from tasks.summarization import Summarization, SummarizationOptions
from tasks.text import Blanks, Words
from tasks.translation import Translation, TranslationOptions


@dataclass(frozen=True)
class Memory:
    """Rows given as lists; a set of that name for whoever asks."""

    sets: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    origin: Origin = "files"
    told: tuple[str, ...] = field(default=())

    def datasets(self) -> tuple[str, ...]:
        return tuple(self.sets)

    def resolve(self, task: str, dataset: str) -> str:
        return dataset

    def splits(self, dataset: str) -> tuple[str, ...]:
        return tuple(self.sets[dataset])

    def rows(self, dataset: str, split: str, limit: int | None = None) -> list[Row]:
        rows = self.sets[dataset][split][:limit]
        return [Row(row, f"{dataset}/{split}.jsonl", i) for i, row in enumerate(rows, 1)]

    def warnings(self, dataset: str) -> tuple[str, ...]:
        return self.told


def texts(name: str, **splits: list[str]) -> Memory:
    return Memory({name: {split: [{"text": text} for text in lines] for split, lines in splits.items()}})


def captions(**splits: list[str]) -> Corpus:
    return Captions().load(texts("caption_coco", **splits))


def test_ids_are_those_of_the_codec_and_end_in_eos() -> None:
    corpus = captions(train=["A cat.", "a dog", "the dog sat"], valid=["a bird sat"], test=["the cat"])
    for split in corpus.splits.values():
        for i, example in enumerate(split.examples):
            assert split.targets[i].tolist() == [*corpus.target_codec.encode(example.target), 0]
    assert corpus.decode(corpus.splits["valid"].targets) == ["a <unk> sat"]
    assert corpus.counts["valid"] == {
        "rows": 1, "duplicates": 0, "truncated_targets": 0, "target_tokens": 4, "unknown_target_tokens": 1,
    }  # fmt: skip
    assert (corpus.kind, corpus.max_target_length, corpus.fixed_length) == ("free", 32, None)


def naive(side: Side, ids: list[int], role: str) -> list[int]:
    """What `SideText.ids` must give for one row of known ids."""
    if role == "fixed":
        return ids[: side.max_tokens]
    if len(ids) + 1 <= side.max_tokens:
        return [*ids, 0]
    if role == "source":
        room = side.max_tokens - 1
        return [*(ids[:room] if side.keep == "start" else ids[len(ids) - room :]), 0]
    return ids[: side.max_tokens]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("role", ["target", "source", "fixed"])
def test_arrays_of_ids_equal_the_row_by_row_ones(seed: int, role: str) -> None:
    rng = random.Random(seed)
    keep = "end" if role == "source" and seed % 2 else "start"
    side = Side(Blanks(), rng.randint(2, 9), min_count=rng.randint(1, 3), keep=keep, lines=seed % 4 > 1)

    def text() -> str:
        lines = (" ".join(rng.choices("abcdefgh", k=rng.randint(1, 6))) for _ in range(rng.randint(1, 3)))
        return "\n".join(lines)

    rows = {name: [text() for _ in range(20)] for name in ("train", "test")}
    cut = SideText(side, rows)
    codec = cut.codec()
    for name in rows:
        plain = [codec.encode(row) for row in rows[name]]
        assert cut.lengths(name).tolist() == [len(ids) for ids in plain]
        ids, count = cut.ids(codec, name, role)  # type: ignore[arg-type]
        assert [ids[i].tolist() for i in range(20)] == [naive(side, row, role) for row in plain]
        assert count == sum(len(row) + (role != "fixed") > side.max_tokens for row in plain)


def test_overlap_is_refused_or_told() -> None:
    shared = {"train": ["a man riding a wave", "x"], "valid": ["y"], "test": ["a  man riding a wave ", "z", "y"]}
    with pytest.raises(DataError) as caught:
        captions(**{**shared, "test": shared["test"][:2]})
    assert str(caught.value) == (
        '1 lines of caption_coco/test are also in train (first: "a man riding a wave"). Scores would be inflated; '
        "remove them, or pass --allow-overlap to go on with a mark in the table."
    )
    corpus = Captions().load(texts("caption_coco", **shared), allow_overlap=True)
    assert [w.split(" (")[0] for w in corpus.warnings] == [
        "1 lines of caption_coco/test are also in train",
        "1 lines of caption_coco/test are also in valid",
    ]


def test_a_pair_is_the_same_only_with_its_source() -> None:
    row = {"src": "Hi.", "tgt": "Salut."}
    sets = {"train": [row], "valid": [{"src": "Hello.", "tgt": "Salut."}], "test": [{"src": "Hi.", "tgt": "Bonjour."}]}
    corpus = Translation().load(Memory({"mt_en_fr": sets}))
    assert corpus.warnings == ()
    with pytest.raises(DataError, match=r'1 lines of mt_en_fr/valid are also in train \(first: "Salut. <- Hi."\)'):
        Translation().load(Memory({"mt_en_fr": {**sets, "valid": [row]}}))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"caption": "a"},
            'caption_coco/train.jsonl line 2: field "text" is missing (row has: caption). '
            "Rename it, or pass --field text=caption.",
        ),
        ({"a": "1", "b": "2"}, "(row has: a, b). Rename it, or pass --field text=NAME."),
        ({}, "(row has: no fields)"),
        ({"text": " \n"}, 'caption_coco/train.jsonl line 2: field "text" is empty. Remove the row'),
        ({"text": 3}, 'caption_coco/train.jsonl line 2: field "text" is a number, not text. Mend the row'),
        ({"text": None}, 'field "text" is null, not text'),
        ({"text": ["a"]}, 'field "text" is a list, not text'),
    ],
)
def test_bad_rows_are_named(row: dict[str, Any], message: str) -> None:
    source = Memory(
        {"caption_coco": {"train": [{"text": "a"}, row], "valid": [{"text": "b"}], "test": [{"text": "c"}]}}
    )
    with pytest.raises(DataError) as caught:
        Captions().load(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("context", "message"),
    [(["a", ""], 'field "context" is empty'), ([], "is an empty list"), ([1], "is a list, not a list of texts")],
)
def test_bad_lists_are_named(context: list[Any], message: str) -> None:
    sets = {"train": [{"context": context, "response": "r"}], "valid": [], "test": []}
    with pytest.raises(DataError, match=message):
        Dialogue().load(Memory({"dialogue_selfdialogue": sets}))


def test_missing_splits_are_cut_from_train() -> None:
    lines = [f"line {i % 50}" for i in range(60)]
    corpus = captions(train=lines)
    counts = {name: len(split) for name, split in corpus.splits.items()}
    # A copy of a held-out row leaves train with it.
    held_out = {e.target for name in ("valid", "test") for e in corpus.splits[name].examples}
    assert counts == {"train": sum(line not in held_out for line in lines), "valid": 2, "test": 2}
    assert corpus.warnings[0] == "caption_coco has no valid split: 2 rows of train are used for it"
    assert captions(train=lines).fingerprint == corpus.fingerprint
    with pytest.raises(DataError, match="no train split"):
        captions(test=["a"])
    with pytest.raises(DataError, match="too small to cut one"):
        captions(train=["a", "a"])
    with pytest.raises(DataError, match="caption_coco/valid has no rows"):
        captions(train=["a"], valid=[], test=["b"])


def test_limit_takes_the_first_rows() -> None:
    source = texts("caption_coco", train=["a", "b", "c"], valid=["d", "e", "f"], test=["g", "h", "i"])
    corpus = Captions().load(source, 2)
    assert [e.target for e in corpus.splits["test"].examples] == ["g", "h"]
    assert len(corpus.splits["train"]) == 2
    with pytest.raises(DataError, match="limit 0: give at least 1"):
        Captions().load(source, 0)


def test_long_sentences_are_cut_or_dropped_and_counted() -> None:
    source = texts("speech_obama", train=["a b c d e", "a b", "a b c"], valid=["a b c d"], test=["b a"])
    cut = Speech(SpeechOptions(max_tokens=3, min_count=1)).load(source)
    ids = cut.target_codec.encode("a b c")
    assert [cut.splits["train"].targets[i].tolist() for i in range(3)] == [ids, [*ids[:2], 0], ids]
    assert cut.counts["train"]["truncated_targets"] == 2
    dropped = Speech(SpeechOptions(max_tokens=3, min_count=1, long="drop")).load(source)
    assert [e.target for e in dropped.splits["train"].examples] == ["a b"]
    assert dropped.counts["train"]["dropped_long"] == 2
    assert "c" not in dropped.vocab.tokens  # of dropped rows nothing is learnt
    assert (len(dropped.splits["valid"]), dropped.counts["valid"]["truncated_targets"]) == (1, 1)
    with pytest.raises(DataError, match="every row of train is longer"):
        Speech(SpeechOptions(max_tokens=2, long="drop")).load(source)


POEM = "床前明月光\n疑是地上霜\n舉頭望明月\n低頭思故鄉"


def test_poems_are_twenty_characters_in_four_lines() -> None:
    other = "白日依山盡/黃河入海流/欲窮千里目/更上一層樓"
    punctuated = "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。"
    spaced = "千山鳥飛絕 萬徑人蹤滅 孤舟蓑笠翁 獨釣寒江雪"
    source = texts("poetry_jueju5", train=[POEM, other], valid=[punctuated], test=[spaced])
    corpus = Poetry(PoetryOptions(min_count=1)).load(source)
    assert corpus.fixed_length == corpus.max_target_length == 20
    assert all(set(split.targets.lengths) == {20} for split in corpus.splits.values())
    assert corpus.decode(corpus.splits["train"].targets)[0] == POEM
    assert corpus.splits["valid"].examples[0].target.split("\n")[1] == "處處聞啼鳥"
    assert "〓" in corpus.decode(corpus.splits["test"].targets)[0]
    assert corpus.counts["test"]["unknown_target_tokens"] == int((corpus.splits["test"].targets.flat == 1).sum()) > 0
    rare = Poetry(PoetryOptions(min_count=2)).load(source)
    assert "32 of 36 characters of train are too rare for the vocabulary" in rare.warnings[0]


def test_a_poem_of_another_form_is_refused() -> None:
    source = texts("poetry_jueju5", train=["床前明月光\n疑是地上霜\n舉頭望明月"], valid=[POEM], test=[POEM])
    with pytest.raises(DataError, match=r"train.jsonl line 1: .* not four lines of 5 characters \(it has 5\+5\+5\)"):
        Poetry().load(source)


@pytest.mark.parametrize("metric", ["sacrebleu", "chrf", "length-ratio", "distinct-1", "distinct-2"])
def test_an_unknown_word_of_a_translation_is_one_word_to_each_metric(metric: str) -> None:
    """Beside another unknown word and before a full stop, too; `<unk>` would count for three (13a, NLTK)."""
    test = ["Tom aime la ville de Paris.", "La ville est grande.", "Tom est grand, Paris aussi."]
    rows = {"train": ["Tom aime la ville de Tom .", "La ville aime Tom , Tom aime"], "valid": ["Tom"], "test": test}
    sets = {split: [{"src": f"{split} {i}", "tgt": text} for i, text in enumerate(of)] for split, of in rows.items()}
    corpus = Translation(TranslationOptions(min_count=1)).load(Memory({"mt_en_fr": sets}))
    texts = corpus.decode(corpus.splits["test"].targets)
    assert corpus.max_target_length == corpus.max_source_length == 50  # of subwords 100
    assert texts == ["Tom aime la ville de 〓.", "La ville 〓 〓.", "Tom 〓 〓, 〓 〓."]
    references = [[text] for text in test]
    marked, spelled = (
        score(Material(list(of), references_by_item=references, tokens="word-lower"), [metric])[0].value
        for of in (texts, [text.replace("〓", "㎢") for text in texts])
    )
    assert marked == spelled


def test_translation_drops_long_pairs_of_train_only() -> None:
    sets = {
        "train": [{"src": "a b c d", "tgt": "x"}, {"src": "a b", "tgt": "x y"}],
        "valid": [{"src": "b a", "tgt": "y", "refs": ["y", "x"]}],
        "test": [{"src": "a b c d e f", "tgt": "y x"}],
        "test_ntrex": [{"src": "b", "tgt": "y"}],
    }
    options = TranslationOptions(max_source_tokens=4, min_count=1, extra_tests="test_ntrex")  # type: ignore[arg-type]
    corpus = Translation(options).load(Memory({"mt_en_fr": sets}))
    assert corpus.counts["train"]["dropped_long"] == 1
    assert corpus.counts["test"]["truncated_sources"] == 1
    assert tuple(corpus.splits) == ("train", "valid", "test", "test_ntrex")
    assert corpus.splits["valid"].examples[0].references == ("y", "x")
    sources = corpus.splits["test"].sources
    assert sources is not None
    assert sources[0].tolist() == [*corpus.source_codec.encode("a b other"), 0]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="embedded corpus has en-fr only"):
        Translation(TranslationOptions(pair="de-en")).load(Memory({}, origin="embedded"))


def test_a_summary_keeps_its_sentences_apart() -> None:
    def row(i: int) -> dict[str, Any]:
        return {"article": f"some news {i} .", "highlights": ["It rained .", f"{i} people came ."]}

    sets = {"train": [row(1), row(2)], "valid": [{**row(3), "refs": ["a", "b"]}], "test": [row(4)]}
    corpus = Summarization(SummarizationOptions(min_count=1)).load(
        Memory({"sum_arxiv": sets, "sum_wikinews": {"test": [row(9)]}})
    )
    assert corpus.decode(corpus.splits["train"].targets)[0] == "it rained.\n1 people came."
    assert corpus.splits["train"].examples[0].references == ("It rained .\n1 people came .",)
    assert corpus.splits["valid"].examples[0].references == ("a", "b")
    with_news = Summarization(SummarizationOptions(wikinews=True)).load(
        Memory({"sum_arxiv": sets, "sum_wikinews": {"test": [row(9)]}})
    )
    assert len(with_news.splits["test_wikinews"]) == 1
    one_text = {name: [{**r, "highlights": "\n".join(r["highlights"])} for r in rows] for name, rows in sets.items()}
    same = Summarization(SummarizationOptions(set="cnndm", min_count=1)).load(Memory({"sum_cnndm": one_text}))
    assert same.splits["train"].targets.flat.tolist() == corpus.splits["train"].targets.flat.tolist()


def test_chinese_summaries_are_characters() -> None:
    def row(text: str) -> dict[str, Any]:
        return {"article": f"关于{text}的文章。", "highlights": [f"{text}题目"]}

    sets = {"train": [row("水"), row("火")], "valid": [row("木")], "test": [row("土")]}
    task = Summarization(SummarizationOptions(set="csl_zh", min_count=1))
    corpus = task.load(Memory({"sum_csl_zh": sets}))
    assert task.tokens == "char"
    assert corpus.decode(corpus.splits["train"].targets) == ["水题目", "火题目"]


def test_a_dialogue_keeps_its_last_turns_and_words() -> None:
    def rows(*contexts: list[str]) -> list[dict[str, Any]]:
        return [{"context": context, "response": f"so {i}"} for i, context in enumerate(contexts)]

    sets = {
        "train": rows(["a", "b", "c", "d"], ["a b"], ["c d"]),
        "valid": rows(["b b b b b b b"]),
        "test": rows(["d"]),
    }
    options = DialogueOptions(max_turns=2, max_context_tokens=4, min_count=1)
    corpus = Dialogue(options).load(Memory({"dialogue_selfdialogue": sets}))
    codec, sources = corpus.source_codec, corpus.splits["train"].sources
    assert codec is not None
    assert sources is not None
    assert codec.decode(sources[0]) == "c\nd"
    assert sources[0].tolist() == [*codec.encode("c"), codec.separator, *codec.encode("d"), 0]
    assert corpus.counts["train"]["truncated_sources"] == 1
    assert corpus.splits["train"].examples[0].source == ("a", "b", "c", "d")
    valid = corpus.splits["valid"].sources
    assert valid is not None
    assert valid[0].tolist() == [*codec.encode("b b b"), 0]


def test_subwords_are_learned_from_train_only() -> None:
    sets = {
        "train": [{"src": f"the cat {i} sat", "tgt": f"le chat {i}"} for i in range(30)],
        "valid": [{"src": "zebra zebra zebra", "tgt": "zèbre zèbre"}],
        "test": [{"src": "a zebra", "tgt": "un zèbre"}],
    }
    options = TranslationOptions(tokenizer="bpe", max_vocab=400)
    corpus = Translation(options).load(Memory({"mt_en_fr": sets}))
    assert corpus.vocab.size <= 400
    assert corpus.max_target_length == corpus.max_source_length == 100  # of words 50
    assert not any("zè" in token for token in corpus.vocab.tokens)
    for split in corpus.splits.values():
        assert corpus.decode(split.targets) == [example.target for example in split.examples]
    assert corpus.counts["test"]["unknown_target_tokens"] == 0


def test_the_fingerprint_covers_what_matters() -> None:
    base: dict[str, list[str]] = {"train": ["a b", "b c"], "valid": ["c"], "test": ["d"]}

    def of(options: SpeechOptions = SpeechOptions(), limit: int | None = None, **splits: list[str]) -> str:  # noqa: B008
        return Speech(options).load(texts("speech_obama", **{**base, **splits}), limit).fingerprint

    prints = [
        of(),
        of(SpeechOptions(max_tokens=30)),
        of(SpeechOptions(min_count=1)),
        of(limit=1),
        of(test=["e"]),
        of(train=["b c", "a b"]),
    ]
    assert len(set(prints)) == len(prints)
    assert of() == prints[0]


def test_words_of_two_languages_have_their_own_rules() -> None:
    assert Words("fr").tokenise("l'eau") != Words("en").tokenise("l'eau")


def test_rows_without_tokens_are_possible_and_end_at_once() -> None:
    cut = SideText(Side(Blanks(), 4), {"train": ["a", " "]})
    ids, _ = cut.ids(cut.codec(), "train", "target")
    assert [ids[i].tolist() for i in range(2)] == [[2, 0], [0]]
    assert isinstance(ids, Ragged)
    assert ids.flat.dtype == np.int32
