"""What all tests share: no network, one thread, real data only where it is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests import fresh

ROOT = Path(__file__).parents[1]


def pytest_configure(config: pytest.Config) -> None:
    import torch

    fresh.choose()
    torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"fresh inputs came from {fresh.VARIABLE}={fresh.fresh_seed()}")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection to another machine fails at once."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"tests run without network; something wanted to reach {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The real corpora, where there are any."""
    root = Path(os.environ.get("GANTLET_DATA", ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("no real corpora: set GANTLET_DATA to their folder")
    return root


@pytest.fixture(scope="session")
def golden_root() -> Path:
    """The golden vectors, where there are any."""
    beside = os.environ.get("GANTLET_DATA")
    root = (Path(beside).parent if beside else ROOT.parent / "shared") / "golden"
    if not root.is_dir():
        pytest.skip("no golden vectors beside GANTLET_DATA")
    return root
