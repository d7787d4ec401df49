"""What the generators share that answer a source with text of their own choosing: found or cut out, never generated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from baselines.base import Decoding, NotTractable
from tasks.base import Corpus, Ragged


class SourceWriter(ABC):
    """`Generator` and `Writer` over `answers`: the text itself is what is scored, since its words may be none of the
    vocabulary's."""

    no_likelihood = "it gives one text a source and no probabilities"

    def __init__(self, corpus: Corpus) -> None:
        self.target_codec, self.source_codec = corpus.target_codec, corpus.source_codec
        self.max_length = corpus.max_target_length

    @abstractmethod
    def answers(self, sources: Ragged, texts: Sequence[tuple[str, ...]]) -> list[str]:
        """One text a source, in the sources' order."""

    def write(
        self,
        sources: Ragged,
        texts: Sequence[tuple[str, ...]],
        *,
        decoding: Decoding,  # noqa: ARG002 - there is nothing to decode
        rng: torch.Generator,  # noqa: ARG002
    ) -> tuple[list[str], Ragged | None]:
        return self.answers(sources, texts), None

    def generate(self, sources: Ragged, *, decoding: Decoding, rng: torch.Generator) -> Ragged:
        """The same from ids alone: what the source's vocabulary lacks is `<unk>`, and long answers are cut."""
        assert self.source_codec is not None, "a conditional corpus has a source codec"
        read = [tuple(self.source_codec.decode(sources[i]).split("\n")) for i in range(len(sources))]
        texts, _ = self.write(sources, read, decoding=decoding, rng=rng)
        end = [] if self.target_codec.vocab.eos is None else [self.target_codec.vocab.eos]
        return Ragged.from_lists([[*self.target_codec.encode(text), *end][: self.max_length] for text in texts])

    def sample(self, n: int, *, temperature: float, rng: torch.Generator) -> Ragged:  # noqa: ARG002
        raise ValueError("it answers a source: `supports` refuses free tasks")

    def token_log_probs(self, targets: Ragged, sources: Ragged | None = None) -> npt.NDArray[np.float64]:  # noqa: ARG002
        raise NotTractable(self.no_likelihood)
