"""Unknown words replaced: by the dictionary's word, or by a copy, of the source word that the network looked at."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.base import CannotDecode, Decoding, Writer
from baselines.mle import MLE, MLEConfig
from baselines.nets.base import AutoregressiveNet, Memory, State
from baselines.neural import NeuralGenerator
from baselines.unknown_words import UnknownWords
from bench.generation import draw
from tasks.base import Corpus, Example, Ragged, Split
from tasks.dialogue import Dialogue, DialogueOptions
from tasks.opening import open_source
from tasks.summarization import Summarization, SummarizationOptions
from tasks.text import Blanks, Characters, Codec, Words, build_vocabulary, subword_vocabulary, train_subwords
from tasks.translation import Translation, TranslationOptions
from tests.fakes import FakeRun
from tests.fresh import fresh_seed
from tests.toys import ToyCodec, _corpus, vocabulary
from tests.unit.test_bench_config import SPEC

LETTERS = "abcdef"
SOURCE, TARGET = vocabulary(LETTERS), vocabulary(LETTERS.upper())
RNG = torch.Generator()


def corpus_of(train: list[tuple[str, str]], test: list[tuple[str, str]], turns: bool = False) -> Corpus:
    """Sources of letters that are known, and of whatever words besides."""
    source, target = ToyCodec(SOURCE), ToyCodec(TARGET)

    def split(pairs: list[tuple[str, str]]) -> Split:
        examples = tuple(Example(t, tuple(s.split(" | ")) if turns else (s,), (t,)) for s, t in pairs)
        return Split(
            examples,
            Ragged.from_lists([[*target.encode(t), 0] for _, t in pairs]),
            Ragged.from_lists([[*source.encode(s), 0] for s, _ in pairs]),
        )

    splits = {"train": split(train), "valid": split(train), "test": split(test)}
    return _corpus("conditional", target, source, splits, None)


class WordForWord(AutoregressiveNet):
    """Says token t of its source at step t, `<unk>` for an unknown one; looks there, but most of all at `</s>`."""

    def __init__(self, attentive: bool = True) -> None:
        super().__init__()
        self.vocab_size, self.attentive = TARGET.size, attentive
        self.output = nn.Linear(TARGET.size, TARGET.size)
        with torch.no_grad():
            self.output.weight.copy_(9.0 * torch.eye(TARGET.size))
            self.output.bias.zero_()

    def encode(self, sources: Tensor, lengths: Tensor) -> Memory:
        return sources, lengths

    def initial_state(self, batch: int, memory: Memory) -> State:
        return (torch.zeros(batch, dtype=torch.int64),)

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        token = memory[0].gather(1, state[0].clamp(max=memory[0].shape[1] - 1)[:, None]).squeeze(1)
        return torch.eye(TARGET.size)[token.clamp(max=TARGET.size - 1)], (state[0] + 1,)

    def step_with_weights(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor] | None:
        if not self.attentive:
            return None
        place, end = torch.arange(memory[0].shape[1]), memory[1][:, None] - 1
        weights = 0.4 * (place == state[0][:, None]) + 0.6 * (place == end)
        return *self.step(tokens, state, memory), weights

    def forward(self, inputs: Tensor, memory: Memory = ()) -> Tensor:
        return self.states(inputs, memory)[0]


TRAIN = [("a", "A"), ("rare", "seldom"), ("b rare", "seldom B"), ("a b", "B A")]
UNMARKED = ["A seldom B", "new", "C D", "B Fermat A seldom C"]
TEST = [("a rare b", ""), ("new", ""), ("c d", ""), ("b Fermat a rare c", ""), ("", "")]


def written(generator: NeuralGenerator, corpus: Corpus, decoding: str) -> tuple[list[str], Ragged]:
    test = corpus.splits["test"]
    texts, ids = generator.write(
        test.sources, [example.source for example in test.examples], decoding=Decoding.parse(decoding), rng=RNG
    )
    assert ids is not None
    return texts, ids


@pytest.mark.parametrize("decoding", ["greedy", "beam3"])
@pytest.mark.parametrize("batch", [1, 1024])
def test_translated_where_train_has_the_word_and_copied_where_not(decoding: str, batch: int) -> None:
    corpus = corpus_of(TRAIN, TEST)
    generator = NeuralGenerator(WordForWord(), corpus, batch)
    assert isinstance(generator, Writer)
    plain, ids = written(generator, corpus, decoding)
    assert plain == ["A <unk> B", "<unk>", "C D", "B <unk> A <unk> C", ""]
    replaced, same = written(generator, corpus, f"{decoding}/replace-unk")
    assert replaced == [*UNMARKED, ""]
    assert np.array_equal(ids.flat, same.flat)  # ids stay what the network said


def test_beams_are_not_searched_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """`beam3/replace-unk` behind `beam3` takes its ids, and gives what it would give alone."""
    corpus = corpus_of(TRAIN, TEST)
    generator = NeuralGenerator(WordForWord(), corpus)
    asked: list[str] = []
    generate = NeuralGenerator.generate

    def counted(self, sources, *, decoding, rng):  # type: ignore[no-untyped-def]
        asked.append(str(decoding))
        return generate(self, sources, decoding=decoding, rng=rng)

    monkeypatch.setattr(NeuralGenerator, "generate", counted)
    found = {}
    for decodings in (("beam3", "beam3/replace-unk"), ("beam3/replace-unk",), ("sample", "sample/replace-unk")):
        spec = SPEC.model_copy(update={"decodings": decodings})
        sets, skipped = draw(Translation(), corpus, spec, generator, "final", lambda *_: None)
        assert skipped == []
        found[decodings] = sets[-1]
    (together, alone, _) = found.values()
    assert together.texts == alone.texts == [*UNMARKED, ""]
    assert np.array_equal(together.ids.flat, alone.ids.flat)
    assert asked == ["beam3@1", "beam3@1/replace-unk", "sample@1", "sample@1/replace-unk"]


def test_the_dictionary_is_learned_when_it_is_first_needed() -> None:
    corpus = corpus_of(TRAIN, TEST[2:3])
    generator = NeuralGenerator(WordForWord(), corpus)
    assert written(generator, corpus, "greedy/replace-unk")[0] == ["C D"]
    assert "dictionary" not in vars(generator.unknown_words)
    assert generator.unknown_words.dictionary == {"a": "A", "b": "B", "rare": "seldom"}


def test_without_attention_nothing_can_be_replaced_or_covered() -> None:
    corpus = corpus_of(TRAIN, TEST[2:3])
    generator = NeuralGenerator(WordForWord(attentive=False), corpus)
    for decoding in ("greedy/replace-unk", "beam2/cov0.2"):  # told even where no `<unk>` came
        with pytest.raises(CannotDecode, match="this network has none"):
            written(generator, corpus, decoding)
    assert written(generator, corpus, "beam2")[0] == ["C D"]
    spec = SPEC.model_copy(update={"decodings": ("beam2", "beam2/replace-unk", "beam2/cov0.2")})
    sets, skipped = draw(Translation(), corpus, spec, generator, "final", lambda *_: None)
    assert [one.decoding for one in sets] == ["beam2@1"]
    assert [one.decoding for one in skipped] == ["beam2@1/replace-unk", "beam2@1/cov0.2"]


@pytest.mark.parametrize(("words", "expected"), [(["x", "\n", "y"], "y"), (["\n", "\n"], "<unk>"), ([], "<unk>")])
def test_a_break_between_turns_is_no_word(words: list[str], expected: str) -> None:
    class Breaks(UnknownWords):
        def words_of(self, source, text):  # type: ignore[no-untyped-def]
            return words

    weights = np.array([[0.2, 0.5, 0.3, 0.9], [0.9, 0.1, 0.0, 0.0]], np.float32)
    corpus = corpus_of(TRAIN, [("a b c", "")])
    ids = Ragged.from_lists([[TARGET.unk, 0]])
    found = Breaks(corpus).decode(ids, corpus.splits["test"].sources, [("",)], lambda *_: iter([(0, weights)]))
    assert found == [expected]


@pytest.mark.parametrize("keep", ["start", "end"])
def test_words_of_a_cut_source_keep_their_places(keep: str) -> None:
    """Of a long text whose words are unknown one and all, the ids alone would not tell which were left."""
    corpus = dataclasses.replace(corpus_of(TRAIN, TEST), source_keep=keep)
    text, unknown = ("p q r s t u v w",), corpus.source_vocab.unk
    source = np.array([unknown] * 3 + [0], np.int32)
    assert UnknownWords(corpus).words_of(source, text) == (["p", "q", "r"] if keep == "start" else ["u", "v", "w"])
    for other in (["a", "b"], ["a"] * 9):
        with pytest.raises(ValueError, match="are not those of its text"):
            UnknownWords(corpus).words_of(np.array([*corpus.source_codec.encode(" ".join(other)), 0]), text)


@pytest.mark.parametrize(
    "task",
    [
        Translation(TranslationOptions(max_source_tokens=6)),
        Summarization(SummarizationOptions(max_article_tokens=9)),
        Dialogue(DialogueOptions(max_turns=2, max_context_tokens=9)),
        Dialogue(DialogueOptions(max_turns=3, max_context_tokens=60)),
    ],
    ids=lambda task: task.name,
)
def test_the_words_of_every_source_are_known(task) -> None:  # type: ignore[no-untyped-def]
    """In each task, cut or not, known words are those of the ids, and the others stand at the places of `<unk>`."""
    corpus = task.load(open_source("embedded"), limit=300)
    split, vocab = corpus.splits["test"], corpus.source_vocab
    words_of, known = UnknownWords(corpus).words_of, set(vocab.tokens) - {"</s>", "<unk>", "<br>"}
    for row, example in enumerate(split.examples):
        ids = split.sources[row][:-1].tolist()
        words = words_of(split.sources[row], example.source)
        assert len(words) == len(ids)
        for word, i in zip(words, ids, strict=True):
            if i == vocab.unk:
                assert word not in {*known, "\n"}
            else:
                assert vocab.tokens[i] == ("<br>" if word == "\n" else word)
    assert max(split.sources.lengths) <= corpus.max_source_length


def codecs() -> list[Codec]:
    lines = ["a cat sat . the cat", "deux chats", "天地"]
    subwords = train_subwords(lines, 300)
    return [
        Codec(build_vocabulary([line.split() for line in lines], extra=extra), tokeniser, separator)
        for tokeniser in (Words("en"), Blanks(), Characters())
        for extra, separator in (((), None), (("<br>",), 2))
    ] + [Codec(subword_vocabulary(subwords), subwords)]


@pytest.mark.parametrize("codec", codecs(), ids=lambda codec: f"{codec.tokeniser.name[:7]}-{codec.separator}")
def test_tokens_are_one_an_id(codec: Codec) -> None:
    for text in ("the cat sat.\n\nCats <unk> </s> <br> 天黄", "", "\n", "  a \t\n b"):
        tokens, ids = codec.tokens(text), codec.encode(text)
        assert len(tokens) == len(ids)
        assert [i == codec.separator for i in ids] == [codec.separator is not None and t == "\n" for t in tokens]
        unknown = [token for token, i in zip(tokens, ids, strict=True) if i == codec.vocab.unk]
        whole = "\n".join(codec.tokeniser.join(codec.tokeniser.tokenise(line)) for line in text.split("\n"))
        if codec.separator is None:
            whole = codec.tokeniser.join(codec.tokeniser.tokenise(text))
        assert codec.decode([*ids, 0, 1], unknown) == whole  # nothing is lost but white space
        for wrong in (unknown[1:] if unknown else ["one"], [*unknown, "more"]):
            with pytest.raises(ValueError, match=r"<unk>|words"):
                codec.decode(ids, wrong)


@pytest.mark.slow
def test_attention_that_was_learned_finds_the_word() -> None:
    """Sources turned round, a third of the words unknown: nearly no target is right before, most are afterwards."""
    rng = np.random.default_rng(fresh_seed())

    def pairs(n: int) -> list[tuple[str, str]]:
        known = [rng.choice(list(LETTERS), rng.integers(2, 6)) for _ in range(n)]
        mixed = [[w if rng.random() > 1 / 3 else f"{rng.integers(10**6)}" for w in words] for words in known]
        return [(" ".join(words), " ".join(reversed(words)).upper()) for words in mixed]

    test = pairs(200)
    corpus = corpus_of(pairs(2000), test)
    net = {"embedding": 24, "hidden": 48, "encoder": 24, "attention": 24, "readout": 24}
    config = MLEConfig(epochs=7, batch=32, learning_rate=1e-2, schedule="linear", net=net)
    generator = MLE(config).fit(corpus, FakeRun(save=False))
    wanted = [t for _, t in test]
    shares = {
        decoding: np.mean([a == b for a, b in zip(written(generator, corpus, decoding)[0], wanted, strict=True)])
        for decoding in ("greedy", "greedy/replace-unk", "beam3/replace-unk", "beam3/replace-unk/cov0.2")
    }
    print(shares)
    assert shares["greedy"] < 0.5
    assert min(shares[name] for name in shares if name != "greedy") > 0.8
