"""A method of one's own, whole: MLE, then REINFORCE against a discriminator that reads a bag of words."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from baselines.base import Baseline, BaselineConfig
from baselines.neural import NeuralGenerator, build_net
from baselines.training.mle import MLE_BUDGETS, MLEConfig, pretrain, pretraining_spec


class MyGAN(Baseline):
    name, summary, adversarial = "my_gan", "MLE, then REINFORCE against a bag of words", True
    budgets = {budget: {"mle": settings} for budget, settings in MLE_BUDGETS.items()}  # the same start as `mle` has

    class Config(BaselineConfig):
        mle: MLEConfig = MLEConfig()
        steps: int = 30
        batch: int = 64
        lr: float = 1e-4

    def supports(self, corpus):
        return None if corpus.kind == "free" else "reads no sources: free tasks only"

    def pretraining(self, corpus):
        return pretraining_spec(corpus, self.config.mle)

    def build(self, corpus):
        return NeuralGenerator(build_net(corpus, self.config.mle.net), corpus)

    def fit(self, corpus, run):
        config, vocab, train = self.config, corpus.vocab, corpus.splits["train"].targets
        model = self.build(corpus).to(run.device)
        model.net.load_state_dict(pretrain(corpus, config.mle, run))
        run.snapshot("pretrain", model)  # scored too: what did the rest give?
        judge = nn.EmbeddingBag(vocab.n_inputs, 1, mode="mean", padding_idx=vocab.pad).to(run.device)
        groups = [{"params": judge.parameters(), "lr": 0.01}, {"params": model.parameters(), "lr": config.lr}]
        parts = (judge, model, optimiser := torch.optim.Adam(groups))
        saved = run.resume() or {"step": 0, "parts": []}
        for part, state in zip(parts, saved["parts"], strict=False):
            part.load_state_dict(state)
        for step in range(saved["step"], config.steps):
            drawn = model.sample(config.batch, temperature=1.0, rng=run.rng("samples"))
            fake = model.collator.batch(drawn, None, run.device)
            rows = torch.randint(len(train), (config.batch,), generator=run.rng("real")).numpy()
            real = model.collator.batch(train.take(rows), None, run.device)
            verdicts = torch.cat([judge(real.targets), judge(fake.targets)]).squeeze(1)
            truth = (torch.arange(len(verdicts), device=run.device) < config.batch).float()
            judge_loss = cross_entropy(verdicts, truth)
            reward = judge(fake.targets).sigmoid().detach()  # [batch, 1]; no gradient of the judge's reaches the model
            logits = model.net.output(model.net(fake.inputs))  # [batch, time, vocab]
            chosen = logits.log_softmax(-1).gather(-1, fake.targets.clamp(max=vocab.size - 1)[..., None])[..., 0]
            policy_loss = -((reward - reward.mean()) * chosen * fake.inside).sum(1).mean()
            optimiser.zero_grad()
            (judge_loss + policy_loss).backward()
            optimiser.step()
            run.log("adversarial", step, judge_loss=judge_loss.item(), reward=reward.mean().item())
            run.checkpoint(lambda at=step + 1: {"step": at, "parts": [part.state_dict() for part in parts]})
        return model
