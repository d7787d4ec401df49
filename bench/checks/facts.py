"""What the harness reads of a method before anything is trained: name, config, presets, decodings."""

from __future__ import annotations

import json
import pickle
import re

from pydantic import ValidationError

from baselines.base import BaselineConfig, Decoding
from bench.checks.core import Check, CheckFailed, place_of
from bench.checks.trial import TRIED, Trial
from bench.errors import UserError
from bench.registry import NOT_METHODS, task_registry, validated

BUDGETS = ("smoke", "small", "paper")


def is_described(trial: Trial) -> str | None:
    """It has a name that can stand in a file name, a version, and a summary for `list` and the tables."""
    method = trial.method
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(getattr(method, "name", ""))) or method.name in NOT_METHODS:
        raise CheckFailed(
            f"name is {getattr(method, 'name', None)!r}, which can't name cells and flags",
            trial.place(),
            'give the class name = "my_gan": small letters, digits and _, and none of '
            + ", ".join(sorted(NOT_METHODS)),
        )
    if not isinstance(method.version, int) or isinstance(method.version, bool) or method.version < 1:
        raise CheckFailed(
            f"version is {method.version!r}",
            trial.place(),
            "set version = 1, and raise it when the same config and seed would give another result",
        )
    if not (isinstance(method.summary, str) and method.summary.strip()):
        raise CheckFailed(
            "summary is empty", trial.place(), 'say in a few words what it is: summary = "MLE, then REINFORCE"'
        )
    return None


def config_survives_pickle_and_json(trial: Trial) -> str | None:
    """Its config comes back equal from pickle and from JSON: it goes to other processes, and into cell.json."""
    for kind in TRIED:
        config, where = trial.make(kind).config, place_of(trial.method.Config)
        _comes_back(config, where)
    return None


def _comes_back(config: BaselineConfig, where: str) -> None:
    ways = (
        (
            "the config can't be pickled",
            lambda: pickle.loads(pickle.dumps(config)),
            "keep to numbers, strings, lists and BaselineConfigs in it; a function is chosen by its name",
            "a pickled config comes back unequal",
        ),
        (
            "the config doesn't survive JSON",
            lambda: type(config)(**json.loads(json.dumps(config.model_dump(mode="json"), allow_nan=False))),
            "keep to finite numbers, strings, lists and BaselineConfigs: cell.json holds the config",
            "a config read from its JSON is unequal",
        ),
    )
    for failed, way, remedy, unequal in ways:
        try:
            back = way()
        except Exception as error:
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CheckFailed(f"{failed}: {told}", where, remedy) from None
        if back != config:
            raise CheckFailed(unequal, where, "let every field have a plain value")


def config_refuses_typos_and_changes(trial: Trial) -> str | None:
    """A setting that there isn't is an error, and a config can't be changed once it is made."""
    config, where = trial.method.Config, place_of(trial.method.Config)
    if not (isinstance(config, type) and issubclass(config, BaselineConfig)):
        raise CheckFailed(
            "Config is no baselines.base.BaselineConfig", where, "write class Config(BaselineConfig): steps: int = 30"
        )
    made = trial.make("varied").config
    try:
        config(**{**made.model_dump(), "no_such_setting": 1})
    except ValidationError:
        pass
    else:
        raise CheckFailed(
            "Config takes a setting that it doesn't have",
            where,
            'leave extra="forbid" of BaselineConfig as it is: a typo in --set must be an error',
        )
    if not config.model_config.get("frozen"):
        raise CheckFailed("a Config can be changed", where, "leave frozen=True of BaselineConfig as it is")
    return None


def presets_are_valid(trial: Trial) -> str | None:
    """Each budget gives a valid config for each task, and no key of `budgets` is one that nobody asks for."""
    tasks, where = task_registry(), trial.place()
    kinds = {name: str(tasks[name].kind) for name in tasks.names}
    for budget in BUDGETS:
        for task, kind in kinds.items():
            try:
                validated(trial.method.Config, trial.method.preset(budget, task, kind), trial.name)
            except UserError as error:
                raise CheckFailed(
                    f"budgets: {budget} for {task} is no valid config: {error}", where, "mend that key of `budgets`"
                ) from None
    for key in trial.method.budgets:
        budget, slash, of = str(key).partition("/")
        if budget not in (*BUDGETS, "check") or (slash and of not in ("free", "conditional") and not of):
            raise CheckFailed(
                f'budgets has a key "{key}" that is never read',
                where,
                "keys are smoke, small, paper (and check, for these checks), or with /free, /conditional or /TASK",
            )
    return None


def decodings_can_be_read(trial: Trial) -> str | None:
    """The decodings that it names besides the task's are such as `greedy`, `sample@0.8`, `beam5`."""
    for text in trial.method.decodings:
        try:
            Decoding.parse(text)
        except ValueError as error:
            raise CheckFailed(str(error), trial.place(), f'mend "{text}" in `decodings`') from None
    return None


CHECKS = (
    Check(is_described),
    Check(config_survives_pickle_and_json),
    Check(config_refuses_typos_and_changes),
    Check(presets_are_valid),
    Check(decodings_can_be_read),
)
