"""The doctor's findings as lines."""

from __future__ import annotations

from collections.abc import Sequence

from bench.doctor.datasets import DataSet, Wanted
from bench.doctor.machine import Machine
from bench.doctor.packages import Extra
from bench.doctor.problems import Problem, size


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """One line a problem and one for its remedy."""
    if not problems:
        return ["problems   none"]
    lines = ["problems"]
    for problem in problems:
        mark = "stops the quickstart" if problem.stops else "note"
        lines += [f"  {mark}: {problem.text}", f"    do: {problem.remedy}"]
    return lines


def machine_lines(machine: Machine) -> list[str]:
    return [
        "machine",
        f"  python   {machine.python} ({machine.executable})",
        f"  system   {machine.platform}",
        *_torch_lines(machine),
        f"  cores    {_cores(machine)}",
        f"  memory   {_memory(machine)}",
        f"  disk     {size(machine.disk_free) if machine.disk_free is not None else '-'} free at {machine.disk}",
        *([f"  set      {_variables(machine)}"] if machine.variables else []),
    ]


def _torch_lines(machine: Machine) -> list[str]:
    torch = machine.torch
    if torch.error:
        return [f"  torch    - ({torch.error})"]
    build = f"CUDA {torch.cuda_build}" if torch.cuda_build else "no CUDA"
    line = (
        f"  torch    {torch.version} ({build}), BLAS {torch.blas or '-'}, {torch.capability}, {torch.threads} threads"
    )
    if not torch.devices:
        return [line, f"  CUDA     - ({torch.no_cuda})"]
    return [
        line,
        *(
            f"  cuda:{place}   {one.name}, {size(one.free)} of {size(one.total)} free, "
            f"capability {one.capability}, bf16 {'yes' if one.bf16 else 'no'}"
            for place, one in enumerate(torch.devices)
        ),
    ]


def _cores(machine: Machine) -> str:
    limits = []
    if machine.cores_affinity is not None and machine.cores_affinity < machine.cores_there:
        limits.append(f"affinity {machine.cores_affinity}")
    if machine.cores_cgroup is not None:
        limits.append(f"container {machine.cores_cgroup:g}")
    load = f"; load {machine.load:.1f}" if machine.load is not None else ""
    told = f" ({', '.join(limits)})" if limits else ""
    return f"{machine.cores:g} of {machine.cores_there}{told}, {machine.processor}{load}"


def _memory(machine: Machine) -> str:
    total = size(machine.memory) if machine.memory is not None else "-"
    free = size(machine.memory_free) if machine.memory_free is not None else "-"
    limit = f"; the container leaves {size(machine.memory_cgroup)}" if machine.memory_cgroup is not None else ""
    return f"{total}, {free} free{limit}"


def _variables(machine: Machine) -> str:
    return " ".join(f"{name}={value}" for name, value in machine.variables.items())


def extra_lines(extras: Sequence[Extra]) -> list[str]:
    """Which extras are there; for those that are not, what they would give and how to get them."""
    lines = ["extras"]
    for one in extras:
        gives = one.gives or ", ".join(package.name for package in one.packages)
        if one.there:
            lines.append(f"  {one.name:13} there    {gives}")
        else:
            lines += [f"  {one.name:13} missing  {gives}", f"    lacks {', '.join(one.lacking)}: {one.remedy}"]
    return lines


def data_lines(data: str, sets: Sequence[DataSet], lacking: Sequence[Wanted]) -> list[str]:
    """Sets with rows and hash, the tasks that take them, and what tasks look for in vain."""
    if data == "embedded":
        return [
            "data       embedded: every task has a small corpus; GANTLET_DATA and --data name real sets (docs/data.md)"
        ]
    if data.startswith("hub"):
        return [f"data       {data}: pinned sets are fetched when a task asks for them; nothing was fetched now"]
    lines = [f"data       {data}"]
    for one in sets:
        lines.append(f"  {one.name:22} {_hash(one):13} for {', '.join(one.tasks) or 'no task by itself'}")
        lines.append(f"    {', '.join(_rows(one))}")
    lines += [
        f"  {one.dataset:22} missing       {one.task} has no data here: --data embedded for that task, or fetch the set"
        for one in lacking
    ]
    takers = {one.task: one.licence for one in _licences(sets)}
    return [*lines, *(f"  licence {task}: {licence}" for task, licence in takers.items())]


def _licences(sets: Sequence[DataSet]) -> list[Wanted]:
    from bench.doctor.datasets import wanted_sets

    names = {one.name for one in sets}
    return [one for one in wanted_sets() if one.dataset in names]


def _hash(one: DataSet) -> str:
    return f"#{one.hash[:12]}" if one.hash else "(no hash)"


def _rows(one: DataSet) -> list[str]:
    return [
        f"{file.split} {file.rows if file.rows is not None else '-'}{' WRONG' if file.wrong else ''}"
        + ("" if file.sha256 else f" ({size(file.bytes)})")
        for file in one.files
    ]
