"""Training a convolutional discriminator: real data against fresh samples, in equal numbers (Yu et al. 2017, eq. 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from baselines.base import BaselineConfig, Decoding, Run
from baselines.nets.cnn import ConvDiscriminator, ConvFeatures
from baselines.neural import NeuralGenerator
from tasks.base import Corpus, Vocabulary


class DiscriminatorConfig(BaselineConfig):
    """The CNN of SeqGAN and its training.

    Sources: "code" is the authors' `sequence_gan.py` and `discriminator.py`, "paper" is arXiv 1609.05473.
    """

    embedding: int = Field(default=64, ge=1)  # code: dis_embedding_dim
    widths: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)  # code: dis_filter_sizes
    filters: tuple[int, ...] = (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160)  # code: dis_num_filters
    source_widths: tuple[int, ...] = (1, 2, 3, 4, 5)  # ours: the paper has no conditional task
    source_filters: tuple[int, ...] = (100, 100, 100, 100, 100)  # ours
    keep: float = Field(default=0.75, gt=0, le=1)  # code: dis_dropout_keep_prob, before the output layer
    l2: float = Field(default=0.2, ge=0)  # code: dis_l2_reg_lambda, on the output layer's weights and biases only
    lr: float = Field(default=1e-4, gt=0)  # code: Adam(1e-4) with TensorFlow's other defaults, which are PyTorch's
    batch: int = Field(default=64, ge=2)  # code: dis_batch_size

    @model_validator(mode="after")
    def _aligned(self) -> DiscriminatorConfig:
        if len(self.widths) != len(self.filters) or len(self.source_widths) != len(self.source_filters):
            raise ValueError("discriminator: widths and filters must have the same length")
        if not self.widths or min(self.widths + self.source_widths, default=1) < 1:
            raise ValueError("discriminator: needs filter widths of at least 1")
        return self


def build_discriminator(
    corpus: Corpus, config: DiscriminatorConfig, rng: torch.Generator, *, highway: bool = True
) -> ConvDiscriminator:
    """The network for a corpus, of sequences or of (source, target) pairs; no filter is wider than any text."""
    limit, fixed = corpus.max_target_length, corpus.fixed_length is not None
    target = _tower(corpus.vocab, config.embedding, config.widths, config.filters, limit, fixed=fixed)
    source = None
    if corpus.source_vocab is not None:
        limit = corpus.max_source_length or max(config.source_widths)
        widths, counts = config.source_widths, config.source_filters
        source = _tower(corpus.source_vocab, config.embedding, widths, counts, limit, fixed=False)
    net = ConvDiscriminator(target, source, config.keep, highway=highway)
    net.initialise(rng)
    return net


def _tower(
    vocab: Vocabulary, embedding: int, widths: tuple[int, ...], counts: tuple[int, ...], limit: int, *, fixed: bool
) -> ConvFeatures:
    fitting = [(w, c) for w, c in zip(widths, counts, strict=True) if w <= limit] or [
        (min(limit, min(widths)), counts[0])
    ]
    kept_widths, kept_counts = zip(*fitting, strict=True)
    return ConvFeatures(vocab.n_inputs, vocab.pad, embedding, kept_widths, kept_counts, variable_length=not fixed)


def discriminator_optimizer(net: ConvDiscriminator, config: DiscriminatorConfig) -> torch.optim.Adam:
    # fused: one pass over weights, gradients and moments; the plain loop makes a dozen over seven million numbers
    return torch.optim.Adam(net.parameters(), config.lr, fused=True)


def discriminator_loss(
    net: ConvDiscriminator, targets: Tensor, real: Tensor, sources: Tensor | None, l2: float
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy with the output layer's penalty, and the log-odds of "real" [batch].

    targets [batch, time], real [batch] (1.0 for data, 0.0 for samples), sources [batch, source time] or None.
    """
    logits = net(targets, sources)
    return F.binary_cross_entropy_with_logits(logits, real) + l2 * net.penalty(), logits.detach()


def discriminator_epoch(
    net: ConvDiscriminator,
    optimizer: torch.optim.Optimizer,
    positives: Tensor,
    negatives: Tensor,
    sources: Tensor | None,
    config: DiscriminatorConfig,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One pass over both classes in random order.

    Args:
        positives: real targets [rows, time], on the network's device.
        negatives: generated targets [rows, time]: as many as there are positives.
        sources: [rows, source time]: row i belongs to both positive i and negative i.
        rng: a CPU stream, for the order.

    Returns:
        Mean loss and accuracy over the pass, as they were when each batch was seen; still on the device.
    """
    if positives.shape != negatives.shape:
        raise ValueError(f"as many positives as negatives: {tuple(positives.shape)} against {tuple(negatives.shape)}")
    targets = torch.cat([positives, negatives])
    real = torch.cat([torch.ones(len(positives)), torch.zeros(len(negatives))]).to(targets.device)
    net.train()
    loss_sum, right = real.new_zeros(()), real.new_zeros(())
    order = torch.randperm(len(targets), generator=rng).to(targets.device)
    for rows in torch.split(order, config.batch):
        read = sources[rows % len(positives)] if sources is not None else None
        loss, logits = discriminator_loss(net, targets[rows], real[rows], read, config.l2)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        loss_sum += loss.detach() * len(rows)
        right += ((logits > 0) == (real[rows] > 0)).sum()
    net.eval()
    return loss_sum / len(targets), right / len(targets)


def discriminator_step(
    net: ConvDiscriminator,
    optimizer: torch.optim.Optimizer,
    config: DiscriminatorConfig,
    generator: NeuralGenerator,
    corpus: Corpus,
    run: Run,
    *,
    samples: int,
    epochs: int,
    temperature: float = 1.0,
) -> dict[str, float]:
    """Some epochs on fresh negatives and as many lines of train, drawn anew.

    Args:
        samples: how many of each; never more than train has lines.
        temperature: of the negatives.
    """
    train = corpus.splits["train"]
    count = min(samples, len(train))
    rows = torch.randperm(len(train), generator=run.rng("positives"))[:count].numpy()
    rng, sources = run.rng("negatives"), None
    if train.sources is None:
        fake = generator.sample(count, temperature=temperature, rng=rng)
    else:
        chosen = train.sources.take(rows)
        fake = generator.generate(chosen, decoding=Decoding("sample", temperature), rng=rng)
        sources = generator.collator.sources(chosen, run.device)[0]
    real, pad = train.targets.take(rows), corpus.vocab.pad
    width = int(max(real.lengths.max(), fake.lengths.max()))
    positives, negatives = (torch.from_numpy(part.padded(pad, width)).to(run.device) for part in (real, fake))
    for _ in range(epochs):
        loss, accuracy = discriminator_epoch(
            net, optimizer, positives, negatives, sources, config, run.rng("discriminator order")
        )
    return {"d_loss": float(loss), "d_accuracy": float(accuracy)}
