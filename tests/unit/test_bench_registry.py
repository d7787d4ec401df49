"""Names, plug-ins, settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.plugins import load_things, plugin_hash
from bench.registry import baseline_registry, make_task, task_registry, validated

PLUGIN = Path(__file__).parents[1] / "plugins" / "walker.py"


def test_every_name_leads_somewhere() -> None:
    for registry in (task_registry(), baseline_registry()):
        for name in registry.names:
            assert registry[name].name == name


def test_unknown_names_suggest() -> None:
    with pytest.raises(UserError, match=r'no task "poerty"\. Did you mean poetry'):
        task_registry()["poerty"]


def test_plugins_are_found_and_never_replace(tmp_path: Path) -> None:
    assert list(load_things(str(PLUGIN)).methods) == ["walker"]
    assert list(load_things(f"{PLUGIN}:Walker").methods) == ["walker"]
    assert "walker" in baseline_registry([str(PLUGIN)]).names
    clash = tmp_path / "clash.py"
    clash.write_text(PLUGIN.read_text().replace('"walker", 1', '"mle", 1'))
    with pytest.raises(UserError, match='"mle" is taken'):
        baseline_registry([str(clash)])


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no subclass"), ("import nowhere_at_all", "failed on import: ModuleNotFoundError"), ("x = ", "SyntaxError")],
)
def test_bad_plugins_say_why(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        load_things(str(file))
    with pytest.raises(UserError, match="no such file"):
        load_things(str(tmp_path / "none.py"))
    with pytest.raises(UserError, match="no class Nope"):
        load_things(f"{PLUGIN}:Nope")


def test_an_edited_plugin_is_another_method(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("a = 1")
    before = plugin_hash([str(file)])
    file.write_text("a = 2")
    assert plugin_hash([str(file)]) != before
    assert plugin_hash([]) == ""


def test_settings_are_checked_with_a_hint() -> None:
    walker = load_things(str(PLUGIN)).methods["walker"]
    assert validated(walker.Config, {"steps": 3}, "walker").steps == 3
    with pytest.raises(UserError, match=r'walker has no setting "step"\. Did you mean steps'):
        validated(walker.Config, {"step": 3}, "walker")
    with pytest.raises(UserError, match=r"walker\.steps: .*got 'many'"):
        validated(walker.Config, {"steps": "many"}, "walker")
    with pytest.raises(UserError, match="poetry has no setting"):
        make_task("poetry", {"charz": 5})
