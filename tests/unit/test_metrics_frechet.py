"""Frechet distance against SciPy's root of a matrix, and what the hashed features see of corrupted text."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from metrics import Material, MetricError, metric, score
from metrics.encoders import Hashed, by_name
from metrics.frechet import distance
from metrics.signature import parse
from tests.fresh import fresh_seed

PIN = "hashed.v1#ca7bb69f"


def by_definition(ours, theirs):
    covariances = [np.cov(side, rowvar=False) for side in (ours, theirs)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    means = np.sum((ours.mean(axis=0) - theirs.mean(axis=0)) ** 2)
    return means + np.trace(covariances[0] + covariances[1] - 2 * root)


@pytest.mark.parametrize("dimensions", [2, 7, 40])
def test_distance_is_scipys(dimensions):
    rng = np.random.default_rng(fresh_seed())
    for _ in range(5):
        mixes = rng.normal(size=(2, dimensions, dimensions))
        ours, theirs = (rng.normal(size=(300, dimensions)) @ mix + rng.normal(size=dimensions) for mix in mixes)
        assert distance(ours, theirs) == pytest.approx(by_definition(ours, theirs), rel=1e-7, abs=1e-7)
        assert distance(ours, theirs) == pytest.approx(distance(theirs, ours), rel=1e-9)


def test_distance_of_known_gaussians():
    """Two spheres: (difference of the means)^2 + dimensions * (difference of the deviations)^2."""
    points = np.random.default_rng(fresh_seed()).normal(size=(500, 6))
    white = np.linalg.qr(points - points.mean(axis=0))[0] * np.sqrt(499)
    assert distance(white, 3 * white + 2) == pytest.approx(6 * 2**2 + 6 * (3 - 1) ** 2)


def test_distance_where_a_covariance_is_singular():
    rng = np.random.default_rng(fresh_seed())
    flat = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 20))
    point = np.ones((400, 20))
    assert distance(flat, flat) == pytest.approx(0, abs=1e-10)
    assert distance(point, point) == 0
    assert distance(flat, point) == pytest.approx(np.cov(flat, rowvar=False).trace() + np.sum((flat.mean(0) - 1) ** 2))
    assert np.isnan(distance(np.full((4, 2), np.nan), np.ones((4, 2))))


def markov_text(rng, count):
    """Sentences of a random chain of 150 words, each with a few that may follow: it has an order to lose."""
    follow = np.random.default_rng(1).integers(0, 150, size=(150, 6))
    lines = []
    for _ in range(count):
        word = int(rng.zipf(1.5)) % 150
        line = [word]
        for _ in range(int(rng.integers(6, 16))):
            word = int(follow[word, min(int(rng.geometric(0.45)) - 1, 5)])
            line.append(word)
        lines.append([f"w{word}" for word in line])
    return lines


def swapped(rng, line, share):
    line = list(line)
    for i in rng.integers(0, len(line) - 1, size=round(share * len(line))):
        line[i], line[i + 1] = line[i + 1], line[i]
    return line


def dropped(rng, line, share):
    return [word for word in line if rng.random() >= share]


def substituted(rng, line, share):
    return [f"w{rng.integers(150)}" if rng.random() < share else word for word in line]


def frechet(samples, references, name="frechet"):
    lines = [[" ".join(line) for line in side] for side in (samples, references)]
    (result,) = score(Material(*lines, tokens="space"), [name])
    assert not result.reason
    return result.value


@pytest.mark.slow
@pytest.mark.parametrize("corrupt", [swapped, dropped, substituted])
def test_it_grows_with_corruption(corrupt):
    rng = np.random.default_rng(fresh_seed())
    references, real = markov_text(rng, 1000), markov_text(rng, 1000)
    values = [frechet([corrupt(rng, line, share) for line in real], references) for share in (0, 0.1, 0.3, 0.6)]
    assert values == sorted(values)
    assert values[-1] > 1.3 * values[0]


def test_it_grows_with_collapse():
    rng = np.random.default_rng(fresh_seed())
    references, real = markov_text(rng, 1000), markov_text(rng, 1000)
    values = [frechet([real[i % kept] for i in range(1000)], references) for kept in (1000, 200, 50, 5)]
    assert values == sorted(values)
    assert values[-1] > 10 * values[0]


def test_extremes_and_order():
    rng = np.random.default_rng(fresh_seed())
    texts, others = markov_text(rng, 300), markov_text(rng, 300)
    assert frechet(texts, texts) == pytest.approx(0, abs=1e-9)
    value = frechet(texts, others)
    assert value == pytest.approx(frechet(texts[::-1], others[::-1]), rel=1e-9)
    assert value == pytest.approx(frechet(others, texts), rel=1e-9)
    assert frechet([["w1"]] * 300, [["w1"]] * 300) == 0
    assert frechet([[]] * 300, [["w1"]] * 300) > 0.1


def test_few_texts_give_a_reason():
    few = score(Material(["a"] * 255, ["a"] * 300), ["frechet"])[0]
    assert np.isnan(few.value)
    assert few.reason == "256 texts a side are the least for 128 features, given 255 and 300"
    assert score(Material(["a"] * 256, ["a b"] * 256), ["frechet"])[0].reason == ""
    assert score(Material(["a"]), ["frechet"])[0].reason == "no references given"
    assert score(Material([], ["a"]), ["frechet"])[0].reason == "samples: empty"
    assert score(Material(["a"], references_by_item=[[]]), ["frechet"])[0].reason == "no references given"


def test_signature_has_the_counts_and_the_encoder():
    (free,) = score(Material(["a b"] * 300, ["c"] * 400, protocol={"T": "1"}), ["frechet"])
    assert free.signature == f"frechet|hyps:300|refs:400|cov:n-1|enc:{PIN}|tok:nltk-lower|T:1|v:1"
    assert (free.stats, free.higher_is_better, free.n) == (None, False, 300)
    (items,) = score(Material(["a b"] * 300, references_by_item=[["c", "d"]] * 300), ["frechet"])
    assert parse(items.signature)["refs"] == "2/item"


def test_pin():
    """The vector of a fixed text: when this changes, so does every value, and the version has to go up."""
    assert Hashed().pin() == PIN.rpartition("#")[2]
    code = "from metrics.encoders import Hashed; print(Hashed().pin())"
    for seed in ("0", "1"):  # Python's own hash of a string depends on it
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == PIN.rpartition("#")[2]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(alphabet="ab 白.", max_size=12), min_size=1, max_size=6), st.sampled_from(["space", "char"]))
def test_a_text_has_the_same_vector_in_any_company(texts, tokens):
    together = Hashed().encode(texts, tokens)
    assert together.shape == (len(texts), 128)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(texts)))
    for vector, text in zip(together, texts, strict=True):
        assert np.array_equal(vector, Hashed().encode([text], tokens)[0])


def test_vectors_see_order_and_repetition():
    one, same, turned, repeated, empty = Hashed().encode(["a b c d", "a  b c d", "d c b a", "a b c d d", ""], "space")
    assert np.array_equal(one, same)
    assert one @ turned < 0.8
    assert 0.5 < one @ repeated < 0.999
    assert abs(one @ empty) < 0.5
    assert Hashed().encode([], "space").shape == (0, 128)


def test_similar_vectors_stand_for_shared_n_grams():
    """Hashed products are near those of the n-grams themselves: on average, text shares more with its own kind."""
    rng = np.random.default_rng(fresh_seed())
    base = rng.permutation(1000)[:400].reshape(20, 20)
    lines = [" ".join(f"w{w}" for w in row) for row in base]
    halves = [
        " ".join(f"w{w}" for w in (*row[:10], *range(2000 + 10 * i, 2010 + 10 * i))) for i, row in enumerate(base)
    ]
    ours, theirs = Hashed().encode(lines, "space"), Hashed().encode(halves, "space")
    products = ours @ theirs.T
    # ten of twenty words and about half of the 2- and 3-grams are shared
    assert np.diag(products).mean() == pytest.approx(0.48, abs=0.08)
    assert products[~np.eye(20, dtype=bool)].mean() == pytest.approx(0, abs=0.03)


def test_names_with_an_encoder():
    assert metric("frechet@hashed").name == "frechet"  # one rule, one name
    assert metric("frechet@st:some/model").name == "frechet@st:some/model"
    with pytest.raises(MetricError, match='no sentence encoder "bert": known: hashed, st:'):
        metric("frechet@bert")
    with pytest.raises(MetricError, match='no sentence encoder "st:"'):
        metric("frechet@st:")
    with pytest.raises(MetricError, match='metric "bleu-2" takes nothing after an @: "bleu-2@hashed"'):
        metric("bleu-2@hashed")
    with pytest.raises(MetricError, match='no metric "frechte@hashed": did you mean frechet'):
        metric("frechte@hashed")
    own = metric("my@name", {"my@name": "metrics.lengths:Length"})  # a name that is registered whole
    assert own.name == "my@name"


class Model:
    """Stands in for sentence-transformers: two features, of the length of the text."""

    def __init__(self, folder, device):
        self.given = (folder, device)

    def encode(self, texts, show_progress_bar, convert_to_numpy):
        return np.array([[len(text), len(text) ** 2 % 7] for text in texts], dtype=np.float32)


@pytest.fixture
def model(tmp_path, monkeypatch):
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Model))
    return folder


def test_a_model_from_a_folder(model):
    texts = ["a", "a b", "a b c d", "abc", "abcdefgh"]
    (result,) = score(Material(texts, texts[1:]), [f"frechet@st:{model}"])
    assert result.value == pytest.approx(
        distance(*(Model(0, 0).encode(side, False, True).astype(float) for side in (texts, texts[1:])))
    )
    fields = parse(result.signature)
    assert fields["metric"] == "frechet"
    assert fields["enc"].startswith("st:tiny#")
    assert "tok" not in fields
    assert str(model) not in result.signature
    assert result.metric == f"frechet@st:{model}"


def test_a_models_pin_is_of_its_files(model):
    before = by_name(f"st:{model}").fields("space")
    (model / "README.md").write_text("other words")
    assert by_name(f"st:{model}").fields("space") == before
    (model / "config.json").write_text('{"pooling": "max"}')
    pooled = by_name(f"st:{model}").fields("space")
    (model / "model.safetensors").write_bytes(b"other weights")
    assert len({str(f) for f in (before, pooled, by_name(f"st:{model}").fields("space"))}) == 3
    (model / "model.safetensors").unlink()
    with pytest.raises(MetricError, match="no weights in"):
        by_name(f"st:{model}").fields("space")


def test_missing_libraries_name_the_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MetricError, match=r"needs the extra `encoders`: pip install 'gantlet\[encoders\]'"):
        score(Material(["a", "b"] * 9, ["a", "c"] * 9), [f"frechet@st:{model}"])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MetricError, match="needs the extra `encoders`"):
        score(Material(["a"], ["a"]), ["frechet@st:all-MiniLM-L6-v2"])


def test_a_model_that_is_nowhere_is_not_downloaded(monkeypatch):
    def refuse(name, local_files_only):
        assert local_files_only
        raise FileNotFoundError(name)

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Model))
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=refuse))
    with pytest.raises(MetricError, match="hf download sentence-transformers/all-MiniLM-L6-v2"):
        score(Material(["a"], ["a"]), ["frechet@st:all-MiniLM-L6-v2"])


@pytest.mark.slow
@pytest.mark.data
def test_real_captions(data_root):
    def read(split):
        with gzip.open(data_root / "caption_coco" / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line)["text"].split() for line in lines]

    if not (data_root / "caption_coco").is_dir():
        pytest.skip("no captions")
    rng = np.random.default_rng(fresh_seed())
    captions = read("train")
    rng.shuffle(captions)
    references, real = captions[:2000], captions[2000:4000]
    for corrupt in (swapped, dropped):
        values = [frechet([corrupt(rng, line, share) for line in real], references) for share in (0, 0.1, 0.3, 0.6)]
        assert values == sorted(values)
    assert frechet([real[i % 50] for i in range(2000)], references) > 10 * values[0]
