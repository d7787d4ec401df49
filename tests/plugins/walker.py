"""A method for harness tests: weights that walk at random, slowly or fatally if asked; every step is a safe point."""

import os
import signal
import time

import torch
from torch import nn

from baselines.base import Baseline, BaselineConfig, NotTractable
from tasks.base import Ragged


class UnigramGenerator(nn.Module):
    def __init__(self, corpus):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(corpus.vocab.size))
        self.length = corpus.fixed_length or 6

    @torch.no_grad()
    def sample(self, n, *, temperature, rng):
        p = (self.logits / temperature).softmax(-1)
        ids = torch.multinomial(p.expand(n, -1), self.length, replacement=True, generator=rng)
        return Ragged.from_lists(ids.tolist())

    def generate(self, sources, *, decoding, rng):
        return self.sample(len(sources), temperature=1.0, rng=rng)

    @torch.no_grad()
    def token_log_probs(self, targets, sources=None):
        if self.length == 6 and sources is not None:
            raise NotTractable("the walker knows no sources")
        return self.logits.log_softmax(-1)[torch.from_numpy(targets.flat).long()].double().numpy()


class Walker(Baseline):
    name, version, summary = "walker", 1, "for tests"
    budgets = {"smoke": {"steps": 5}, "small": {"steps": 5}}

    class Config(BaselineConfig):
        steps: int = 5
        pause: float = 0.0
        fail_at: int = -1
        nan_at: int = -1
        kill_at: int = -1
        unfit: bool = False
        shared_steps: int = 0

    def supports(self, corpus):
        return "asked to be unfit" if self.config.unfit else None

    def pretraining(self, corpus):
        return {"walk": self.config.shared_steps} if self.config.shared_steps else None

    def build(self, corpus):
        return UnigramGenerator(corpus)

    def fit(self, corpus, run):
        model = self.build(corpus)
        if self.config.shared_steps:
            spec, steps = self.pretraining(corpus), self.config.shared_steps
            model.load_state_dict(run.pretrained(spec, lambda inner: self._walk(corpus, inner, steps)))
            run.snapshot("pretrain", model)
        model.load_state_dict(self._walk(corpus, run, self.config.steps, model))
        return model

    def _walk(self, corpus, run, steps, start=None):
        model = start or self.build(corpus)
        state = run.resume()
        first = 0
        if state is not None:
            model.load_state_dict(state["model"])
            first = state["step"]
        for step in range(first, steps):
            if step == self.config.fail_at:
                raise RuntimeError("the walker fell")
            if step == self.config.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(self.config.pause)
            noise = torch.randn(model.logits.shape, generator=run.rng("walk")) + torch.randn(model.logits.shape)
            model.logits.data += 0.1 * noise
            norm = float("nan") if step == self.config.nan_at else model.logits.norm().item()
            run.log("walk", step, norm=norm)
            run.progress("walk", step + 1, steps)
            now = step + 1
            run.checkpoint(lambda now=now: {"model": model.state_dict(), "step": now})
        return {name: value.clone() for name, value in model.state_dict().items()}
