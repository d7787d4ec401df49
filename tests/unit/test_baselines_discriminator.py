"""Training the discriminator: labels the right way round, equal classes, and that it learns."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from baselines.nets.cnn import ConvDiscriminator
from baselines.training import discriminator as training
from baselines.training.discriminator import (
    DiscriminatorConfig,
    build_discriminator,
    discriminator_epoch,
    discriminator_optimizer,
)
from tests.toys import conditional_corpus, free_corpus

SMALL = DiscriminatorConfig(widths=(1, 2, 3), filters=(8, 8, 8), source_widths=(1, 2), source_filters=(8, 8), lr=5e-3)


def trained(
    positives: torch.Tensor, negatives: torch.Tensor, sources: torch.Tensor | None, corpus
) -> ConvDiscriminator:  # type: ignore[no-untyped-def]
    net = build_discriminator(corpus, SMALL, torch.Generator().manual_seed(0))
    optimizer = discriminator_optimizer(net, SMALL)
    rng = torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    for _ in range(8):
        discriminator_epoch(net, optimizer, positives, negatives, sources, SMALL, rng)
    return net


def test_real_data_get_the_high_probability() -> None:
    """Ascending runs are real; the same letters in random order are not. Judged on lines it was not trained on."""
    corpus = free_corpus(400, fixed_length=6)
    real = torch.from_numpy(corpus.splits["train"].targets.padded(corpus.vocab.pad))
    order = torch.rand(real.shape, generator=torch.Generator().manual_seed(2)).argsort(1)
    fake = real.gather(1, order)
    net = trained(real[:300], fake[:300], None, corpus)
    with torch.no_grad():
        p_real, p_fake = net(real[300:]).sigmoid(), net(fake[300:]).sigmoid()
    assert p_real.mean() > 0.7 > 0.3 > p_fake.mean()
    assert ((p_real > 0.5).float().mean() + (p_fake < 0.5).float().mean()) / 2 > 0.85


def test_a_pair_that_does_not_belong_together_is_found_out() -> None:
    """Targets are equally real in both classes: only the source tells them apart, by its length."""
    corpus = conditional_corpus(600)
    split = corpus.splits["train"]
    assert split.sources is not None
    lengths = split.targets.lengths
    long, short = (lengths >= 5).nonzero()[0], (lengths <= 4).nonzero()[0]
    n = min(len(long), len(short))
    width = int(lengths.max())
    longs, shorts = (split.targets.take(rows[:n]).padded(corpus.vocab.pad, width) for rows in (long, short))
    sources = torch.from_numpy(split.sources.take(long[:n]).padded(corpus.source_vocab.pad))  # type: ignore[union-attr]
    positives, negatives = torch.from_numpy(longs), torch.from_numpy(shorts)
    cut = n * 3 // 4
    net = trained(positives[:cut], negatives[:cut], sources[:cut], corpus)
    with torch.no_grad():
        right = (net(positives[cut:], sources[cut:]) > 0).float().mean() + (
            net(negatives[cut:], sources[cut:]) < 0
        ).float().mean()
    assert right / 2 > 0.8


def test_an_epoch_sees_every_row_once_with_its_label_and_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = conditional_corpus(20)
    net = build_discriminator(corpus, SMALL, torch.Generator().manual_seed(0))
    positives, negatives = torch.arange(14).view(7, 2) % 8, (torch.arange(14).view(7, 2) + 1) % 8
    sources = torch.arange(7).view(7, 1)
    seen: list[tuple[list[int], float, int]] = []
    loss = training.discriminator_loss

    def watch(net, targets, real, read, l2):  # type: ignore[no-untyped-def]
        seen.extend(zip(targets.tolist(), real.tolist(), read.flatten().tolist(), strict=True))
        return loss(net, targets, real, read, l2)

    monkeypatch.setattr(training, "discriminator_loss", watch)
    config = SMALL.model_copy(update={"batch": 4})
    discriminator_epoch(
        net,
        discriminator_optimizer(net, config),
        positives,
        negatives,
        sources,
        config,
        torch.Generator().manual_seed(0),
    )
    wanted = [(row, 1.0, i) for i, row in enumerate(positives.tolist())]
    wanted += [(row, 0.0, i) for i, row in enumerate(negatives.tolist())]
    assert sorted(seen) == sorted(wanted)


def test_classes_of_different_size_are_refused() -> None:
    corpus = free_corpus(20, fixed_length=4)
    net = build_discriminator(corpus, SMALL, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="as many positives as negatives"):
        discriminator_epoch(
            net,
            discriminator_optimizer(net, SMALL),
            torch.ones(4, 4, dtype=torch.long),
            torch.ones(3, 4, dtype=torch.long),
            None,
            SMALL,
            torch.Generator(),
        )


def test_accuracy_and_loss_are_those_of_the_batches_seen() -> None:
    """With a rate of 0 nothing moves, so the pass can be recomputed as one batch."""
    corpus = free_corpus(50, fixed_length=5)
    config = SMALL.model_copy(update={"lr": 1e-30, "keep": 1.0})
    net = build_discriminator(corpus, config, torch.Generator().manual_seed(0))
    real = torch.from_numpy(corpus.splits["train"].targets.padded(corpus.vocab.pad))
    fake = real.flip(1)
    loss, accuracy = discriminator_epoch(
        net, discriminator_optimizer(net, config), real, fake, None, config, torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        logits = torch.cat([net(real), -net(fake)])
    torch.testing.assert_close(accuracy, (logits > 0).float().mean())
    expected = -torch.nn.functional.logsigmoid(logits).mean() + config.l2 * net.penalty()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=1e-5)


def test_filters_wider_than_any_text_are_left_out() -> None:
    net = build_discriminator(free_corpus(20, fixed_length=6), DiscriminatorConfig(), torch.Generator().manual_seed(0))
    assert net.target.widths == (1, 2, 3, 4, 5, 6)
    assert net.target.size == 1000


def test_the_papers_network_has_its_size() -> None:
    config = DiscriminatorConfig()
    assert sum(config.filters) == 1720
    assert dict(zip(config.widths, config.filters, strict=True))[20] == 160


def test_equal_seeds_give_equal_networks_whatever_the_global_stream() -> None:
    corpus = conditional_corpus(20)
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        nets.append(build_discriminator(corpus, SMALL, torch.Generator().manual_seed(5)))
    for first, second in zip(*(net.state_dict().values() for net in nets), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("wrong", [{"widths": (1, 2)}, {"widths": (), "filters": ()}, {"keep": 0.0}, {"nonsense": 1}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DiscriminatorConfig.model_validate(wrong)
