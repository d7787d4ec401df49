"""The verb `sample`: text from a trained cell."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.errors import UserError


def sample_verb(asked: argparse.Namespace) -> int:
    """Prints one text a line."""
    from baselines.base import Decoding
    from bench.sampling import Speaker

    try:
        decoding = Decoding.parse(asked.decoding or ("greedy" if asked.sources else "sample"))
    except ValueError as error:
        raise UserError(f"--decoding: {error}.") from None
    if asked.sources and asked.fill:
        raise UserError("--sources and --fill don't go together: one asks for answers, the other for a text's rest.")
    speaker = Speaker(Path(asked.cell), asked.stage, asked.device)
    if asked.sources:
        from bench.outside.inputs import read_lines

        found = speaker.answers(read_lines(Path(asked.sources)), decoding, asked.seed)
    elif asked.fill:
        found = speaker.filled(asked.fill, asked.n, decoding, asked.seed)
    else:
        found = speaker.samples(asked.n, decoding, asked.seed)
    for text in found:
        print(text.replace("\n", " / "))
    return 0
