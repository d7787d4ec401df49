"""Text from a trained cell: samples, answers to one's own sources, and blanks filled in a text that is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from baselines.base import CannotDecode, Decoding, Generator, Infiller, TextGenerator
from bench.cell import Prepared, load_generator, prepare
from bench.env import choose_device
from bench.errors import UserError
from bench.generation import answers
from bench.store import CellStore, read_json
from tasks.base import Corpus, DataError, Ragged

BLANK = "___"


class Speaker:
    """A cell's generator at one of its stages, and its corpus.

    Args:
        path: the cell's folder, with weights.
        stage: `final`, or an earlier one that was kept.

    Raises:
        UserError: no trained cell there, no such stage, or data that are gone.
    """

    def __init__(self, path: Path, stage: str = "final", device: str = "auto") -> None:
        cell = CellStore(path)
        spec, model = cell.spec, read_json(path / "model.json")
        if spec is None:
            raise UserError(f"{path} is not a cell: give a folder below a run's cells/.")
        if model is None:
            raise UserError(f"{path} has no trained model: run it to its end first.")
        if stage not in model["stages"]:
            raise UserError(f'{path} has no stage "{stage}"; it kept {", ".join(model["stages"])}.')
        prepared: Prepared = prepare(spec)
        self.name, self.task, self.corpus = spec.slug, prepared.task, prepared.corpus
        self.generator: Generator = load_generator(prepared, cell, stage, choose_device(device))

    def samples(self, n: int, decoding: Decoding, seed: int) -> list[str]:
        """Free tasks: `n` texts."""
        if self.corpus.kind != "free":
            raise UserError(f"{self.name} answers sources: give them with --sources FILE, one a line.")
        if decoding.method != "sample":
            raise UserError(f"--decoding {decoding}: free text is drawn by sample or sample@TEMPERATURE.")
        rng = torch.Generator().manual_seed(seed)
        if isinstance(self.generator, TextGenerator):
            return self.generator.sample_texts(n, temperature=decoding.temperature, rng=rng)
        return self.corpus.decode(self.generator.sample(n, temperature=decoding.temperature, rng=rng))

    def answers(self, sources: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
        """Conditional tasks: one text a source; turns of a source are separated by tabs."""
        codec, most = self.corpus.source_codec, self.corpus.max_source_length
        if codec is None:
            raise UserError(f"{self.name} answers no sources: it is a task of free text.")
        texts = [self._prepared(i, source) for i, source in enumerate(sources, 1)]
        rows = [[*codec.encode("\n".join(text)), codec.vocab.eos or 0] for text in texts]
        long = next((i for i, row in enumerate(rows, 1) if most is not None and len(row) > most), None)
        if long is not None:
            raise UserError(f"source {long} has {len(rows[long - 1])} tokens; {self.name} reads at most {most}.")
        rng = torch.Generator().manual_seed(seed)
        try:
            return list(answers(self.corpus, self.generator, Ragged.from_lists(rows), texts, decoding, rng)[0])
        except CannotDecode as reason:
            raise UserError(f"--decoding {decoding}: {reason}") from None

    def _prepared(self, place: int, source: str) -> tuple[str, ...]:
        try:
            return self.task.prepare_source(tuple(source.split("\t")))
        except DataError as reason:
            raise UserError(f"source {place} has {reason}.") from None

    def filled(self, text: str, n: int, decoding: Decoding, seed: int) -> list[str]:
        """`n` ways to fill the blanks (`___`, a token each) of a text."""
        if not isinstance(self.generator, Infiller):
            raise UserError(f"{self.name} fills no blanks: it draws text from left to right. MaskGAN does.")
        if decoding.method != "sample":
            raise UserError(f"--decoding {decoding}: blanks are filled by sample or sample@TEMPERATURE.")
        ids, blanks = with_blanks(text, self.corpus)
        tokens = Ragged.from_lists([ids] * n)
        rng = torch.Generator().manual_seed(seed)
        drawn = self.generator.infill(tokens, np.tile(blanks, n), temperature=decoding.temperature, rng=rng)
        return self.corpus.decode(drawn)


def with_blanks(text: str, corpus: Corpus) -> tuple[list[int], np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Ids of a text, its end included, and where its blanks are.

    Raises:
        UserError: no blank, or a length that the corpus doesn't have.
    """
    ids: list[int] = []
    blanks: list[bool] = []
    for place, part in enumerate(text.split(BLANK)):
        if place:
            ids.append(0)
            blanks.append(True)
        known = corpus.target_codec.encode(part) if part.strip() else []
        ids += known
        blanks += [False] * len(known)
    if not any(blanks):
        raise UserError(f'--fill "{text}": no blank in it. Write {BLANK} for each token to be filled.')
    if corpus.fixed_length is None and corpus.vocab.eos is not None:
        ids.append(corpus.vocab.eos)
        blanks.append(False)
    wanted = corpus.fixed_length
    if wanted is not None and len(ids) != wanted:
        raise UserError(f'--fill "{text}": {len(ids)} tokens, and every text of {corpus.task} has {wanted}.')
    if len(ids) > corpus.max_target_length:
        raise UserError(f'--fill "{text}": {len(ids)} tokens; {corpus.task} has at most {corpus.max_target_length}.')
    return ids, np.array(blanks)
