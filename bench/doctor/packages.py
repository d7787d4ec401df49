"""What is installed of what the program needs and of its extras; read from its own metadata."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
# what an extra gives; one that is not named here is listed with its packages alone
GIVES = {
    "hub": "data sets from the Hugging Face hub (--data hub)",
    "subword": "byte-level BPE: --set translation.tokenizer=bpe, summarization.tokenizer=bpe",
    "transformers": "the methods gpt, transformer and transformer_gan, and checkpoints for them",
    "tensorboard": "run --tensorboard",
    "gpu": "which share of the time an NVIDIA GPU works (gpu_busy in log.jsonl)",
    "mauve": "the metrics mauve and mauve@ENCODER (mauve-text is under the GPL)",
    "encoders": "features of a neural encoder: the metrics frechet@st:NAME, mauve@st:NAME",
    "dev": "tests, lint and types (make test)",
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)(\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")


@dataclass(frozen=True)
class Package:
    """A package that is needed: `installed` is its version, empty where it is missing."""

    name: str
    wanted: str
    installed: str
    extra: str = ""

    @property
    def fits(self) -> bool:
        return bool(self.installed) and satisfies(self.installed, self.wanted)


@dataclass(frozen=True)
class Extra:
    name: str
    gives: str
    packages: tuple[Package, ...]

    @property
    def there(self) -> bool:
        return all(package.fits for package in self.packages)

    @property
    def lacking(self) -> list[str]:
        return [
            package.name + (f" {package.wanted} (here: {package.installed})" if package.installed else "")
            for package in self.packages
            if not package.fits
        ]

    @property
    def remedy(self) -> str:
        return f'pip install "gantlet[{self.name}]" (in a checkout: pip install -e ".[{self.name}]")'


def needed() -> list[Package]:
    """What the program itself needs."""
    return [package for package in _parsed(requirements()) if not package.extra]


def extras() -> list[Extra]:
    """Each extra with its packages."""
    groups: dict[str, list[Package]] = {}
    for package in _parsed(requirements()):
        if package.extra:
            groups.setdefault(package.extra, []).append(package)
    return [Extra(name, GIVES.get(name, ""), tuple(packages)) for name, packages in groups.items()]


def requirements(project: Path = PROJECT) -> list[str]:
    """Requirements as packages' metadata write them: of the checkout that runs, else of what is installed."""
    try:
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        try:
            return list(requires("gantlet") or ())
        except PackageNotFoundError:
            return []
    optional = table.get("optional-dependencies", {})
    found = list(table.get("dependencies", ()))
    return found + [f'{one}; extra == "{extra}"' for extra, group in optional.items() for one in group]


def satisfies(installed: str, wanted: str) -> bool:
    """Whether a version is in a range such as `>=2.4,<3`; what is not understood is taken as met."""
    checks = {
        ">=": lambda here, there: here >= there,
        "<=": lambda here, there: here <= there,
        "==": lambda here, there: here[: len(there)] == there,
        ">": lambda here, there: here > there,
        "<": lambda here, there: here < there,
    }
    for part in filter(None, (one.strip() for one in wanted.split(","))):
        sign = next((sign for sign in checks if part.startswith(sign)), None)
        if sign is not None and not checks[sign](_numbers(installed), _numbers(part[len(sign) :])):
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    """2.13.0+cpu -> (2, 13): zeros at the end don't count."""
    found = [int(number) for number in re.findall(r"\d+", re.split(r"[+a-z]", text.strip())[0])]
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)


def _parsed(lines: Iterable[str]) -> list[Package]:
    found = []
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, _, wanted, marker = match.groups()
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker or "")
        if name != "gantlet":
            found.append(Package(name, wanted.strip(), _installed(name), extra.group(1) if extra else ""))
    return found


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def missing(packages: Sequence[Package]) -> list[Package]:
    return [package for package in packages if not package.fits]
