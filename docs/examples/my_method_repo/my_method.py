"""A method of one's own: the logits of the next token by the present one, learnt by gradient steps."""

import torch
from torch import nn

from baselines.base import Baseline, BaselineConfig, CannotDecode
from tasks.base import Ragged


class Bigrams(nn.Module):
    """Logits of the next token by the present one; the row `bos` begins a line."""

    def __init__(self, corpus):
        super().__init__()
        self.vocab, self.corpus = corpus.vocab, corpus
        self.logits = nn.Parameter(torch.zeros(corpus.vocab.size + 1, corpus.vocab.size))

    def forward(self, targets):
        """Log-probability of each token, end to end: the first of a line follows `bos`."""
        before = torch.roll(torch.from_numpy(targets.flat).long(), 1)
        before[torch.from_numpy(targets.offsets[:-1])] = self.vocab.bos
        return self.logits[before].log_softmax(-1).gather(1, torch.from_numpy(targets.flat).long()[:, None])[:, 0]

    @torch.no_grad()
    def sample(self, n, *, temperature, rng):
        length, eos = self.corpus.max_target_length, self.vocab.eos if self.corpus.fixed_length is None else None
        present, lines, done = torch.full((n,), self.vocab.bos), [[] for _ in range(n)], [False] * n
        for _ in range(length if n else 0):
            chances = (self.logits[present] / temperature).softmax(-1)
            present = torch.multinomial(chances, 1, generator=rng)[:, 0]
            for i, token in enumerate(present.tolist()):
                if not done[i]:
                    lines[i].append(token)
                    done[i] = token == eos
        return Ragged.from_lists(lines)

    def generate(self, sources, *, decoding, rng):
        raise CannotDecode("a bigram model reads no sources")

    @torch.no_grad()
    def token_log_probs(self, targets, sources=None):
        return self(targets).double().numpy()


class MyMethod(Baseline):
    name, summary = "my_method", "bigrams, learnt step by step"
    budgets = {"smoke": {"steps": 60}, "small": {"steps": 300}, "paper": {"steps": 1000}}

    class Config(BaselineConfig):
        steps: int = 300
        batch: int = 64
        learning_rate: float = 0.1

    def supports(self, corpus):
        return None if corpus.kind == "free" else "reads no sources: free tasks only"

    def build(self, corpus):
        return Bigrams(corpus)

    def fit(self, corpus, run):
        model, train = self.build(corpus), corpus.splits["train"].targets
        model.logits.data.normal_(0.0, 0.1, generator=run.rng("init"))
        optimiser = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        saved = run.resume() or {"step": 0}
        if saved["step"]:
            model.load_state_dict(saved["model"])
            optimiser.load_state_dict(saved["optimiser"])
        for step in range(saved["step"], self.config.steps):
            rows = torch.randint(len(train), (self.config.batch,), generator=run.rng("rows")).numpy()
            loss = -model(train.take(rows)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.log("train", step, loss=loss.item())
            run.checkpoint(
                lambda at=step + 1: {"step": at, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
            )
        return model
