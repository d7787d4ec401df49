"""Rows of made-up results, for tests of tables."""

from __future__ import annotations

import math
from typing import Any

from bench.schema import ScoreRow

NAN = math.nan


def row(**fields: Any) -> ScoreRow:
    """A finished BLEU-2 of `mle` on embedded poetry, but for the fields given."""
    base: dict[str, Any] = {
        "task": "poetry",
        "task_version": 1,
        "data": "poetry.v1/embedded#3fa91c20",
        "origin": "embedded",
        "baseline": "mle",
        "config_hash": "11aa22bb",
        "seed": 0,
        "stage": "final",
        "split": "test",
        "decoding": "sample@1",
        "metric": "bleu-2",
        "value": 0.5,
        "ci_low": 0.49,
        "ci_high": 0.51,
        "n": 500,
        "higher_is_better": None,
        "primary": True,
        "signature": "bleu|n:2|hyps:500|refs:500|T:1|data:poetry.v1/embedded#3fa91c20|v:1",
        "status": "done",
        "reason": "",
        "train_seconds": 6.25,
        "device": "cpu",
        "peak_memory_mb": 310.0,
        "parameters": 41_000,
        "cell": "poetry.mle.s0.11aa22bb",
    }
    base |= fields
    if "cell" not in fields:
        base["cell"] = f"{base['task']}.{base['baseline']}.s{base['seed']}.{base['config_hash']}"
    return ScoreRow(**base)


def cell(baseline: str, seed: int, bleu: float, self_bleu: float, nll: float, **fields: Any) -> list[ScoreRow]:
    """The values of one poetry cell: a metric to rank by nearness, a second such, one where less is better."""
    about = {"baseline": baseline, "seed": seed, **fields}
    return [
        row(**about, value=bleu),
        row(**about, metric="bleu-3", value=bleu / 2, primary=False, signature="bleu|n:3|hyps:500|refs:500|T:1|v:1"),
        row(
            **about,
            metric="self-bleu-2",
            value=self_bleu,
            primary=False,
            signature="self-bleu|n:2|hyps:500|refs:others|T:1|v:1",
        ),
        row(
            **{**about, "decoding": ""},
            metric="nll-test",
            value=nll,
            primary=False,
            higher_is_better=False,
            signature="nll-test|unit:nats/token|items:500|vocab:0011|v:1",
        ),
    ]


def reference(baseline: str, bleu: float, self_bleu: float) -> list[ScoreRow]:
    """A row that no method made: no temperature in its signature, nothing trained."""
    rows = cell(baseline, 0, bleu, self_bleu, NAN, config_hash="44136fa3")[:3]
    return [
        each.model_copy(
            update={
                "decoding": "",
                "signature": each.signature.replace("|T:1", ""),
                "train_seconds": NAN,
                "device": "",
                "peak_memory_mb": NAN,
                "parameters": 0,
            }
        )
        for each in rows
    ]


def failure(baseline: str, seed: int, status: str, reason: str, **fields: Any) -> ScoreRow:
    return row(
        **{
            "baseline": baseline,
            "seed": seed,
            "status": status,
            "reason": reason,
            "decoding": "",
            "value": NAN,
            "ci_low": NAN,
            "ci_high": NAN,
            "n": 0,
            "signature": "",
            "train_seconds": NAN,
            "device": "",
            "peak_memory_mb": NAN,
            "parameters": 0,
            **fields,
        }
    )


def poetry() -> list[ScoreRow]:
    """Three methods, two references, three ways to fail."""
    rows = reference("real", 0.512, 0.498) + reference("shuffled", 0.301, 0.310)
    for seed, noise in enumerate((0.0, 0.004, -0.003)):
        rows += cell("mle", seed, 0.471 + noise, 0.475 + noise, 3.210 + noise, train_seconds=6.2 + seed)
        about: dict[str, Any] = {"config_hash": "c0ffee00", "train_seconds": 41.0, "parameters": 52_000}
        rows += cell("seqgan", seed, 0.470 + noise, 0.474 + noise, 3.211 + noise, stage="pretrain", **about)
        if seed < 2:
            rows += cell("seqgan", seed, 0.522 - noise, 0.533 + noise, 3.344 + 2 * noise, **about)
    rows = [each for each in rows if (each.baseline, each.seed) != ("seqgan", 2)]
    rows.append(failure("seqgan", 2, "diverged", "reward is nan at adversarial step 412", config_hash="c0ffee00"))
    rows += [failure("maligan", seed, "failed", "RuntimeError: a|b\n**c** <d>", config_hash="0") for seed in (0, 1, 2)]
    rows.append(failure("copynet", 0, "unsupported", "needs a source", config_hash="0"))
    return rows


def translation() -> list[ScoreRow]:
    """A metric with a good end, two decodings, a method that is better beyond doubt, and a value that is missing."""
    rows = []
    for baseline, height in (("mle", 21.0), ("beamer", 24.5), ("odd", 20.9)):
        for seed, noise in enumerate((0.0, 0.21, -0.17, 0.05, 0.11)):
            for decoding, gain in (("greedy", 0.0), ("beam5@1", 1.25)):
                about: dict[str, Any] = {
                    "task": "translation",
                    "data": "translation.v1/multi30k#77aa00ff",
                    "origin": "files",
                    "baseline": baseline,
                    "seed": seed,
                    "decoding": decoding,
                    "n": 1000,
                    "higher_is_better": True,
                }
                refs = 4 if baseline == "odd" else 1
                rows.append(
                    row(
                        **about,
                        metric="sacrebleu",
                        value=height + noise + gain,
                        signature=f"sacrebleu|refs:{refs}|dec:{decoding}|v:1",
                    )
                )
                chrf = NAN if baseline == "mle" and seed == 3 else 2 * height + noise
                about |= {"primary": False, "signature": f"chrf|refs:1|dec:{decoding}|v:1"}
                missing = {"status": "missing", "reason": "samples: empty", "n": 0} if math.isnan(chrf) else {}
                rows.append(row(**{**about, **missing}, metric="chrf", value=chrf))
    return rows
