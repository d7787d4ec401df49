"""The methods that can be trained on a corpus: one file each, imported when asked for by name."""

BUILTIN: dict[str, str] = {
    "mle": "baselines.mle:MLE",
    "seqgan": "baselines.seqgan:SeqGAN",
}
