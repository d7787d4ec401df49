"""The verbs: run, list, score, compare, report, sample. Heavy imports happen inside a verb: --help answers at once."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from bench import __version__
from bench.errors import LISTS, UserError

EPILOG = """\
examples:
  run_bench.py                                        the quickstart: all tasks, embedded data, under four minutes
  run_bench.py run --tasks poetry --seeds 5           one task, five seeds
  run_bench.py run --tasks speech --data my.txt       your own text, one line an example
  run_bench.py run --plugin my_gan.py --baselines mle,my_gan
  run_bench.py score samples.txt --references test.txt
  run_bench.py score samples.txt --references test.txt --protocol texygen-table
  run_bench.py report results/runs/quickstart
  run_bench.py sample results/runs/quickstart/cells/poetry.mle.s0.* -n 5
  run_bench.py doctor                                 what this machine can run, and how long the quickstart takes
"""


class Parser(argparse.ArgumentParser):
    """Says what is likely meant by words that stand alone."""

    def error(self, message: str) -> NoReturn:
        beginning, _, words = message.partition("unrecognized arguments: ")
        if not beginning and words and not words.startswith("-"):
            message += f"\n{LISTS}"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="run_bench.py",
        description="Trains text generators beside honest MLE baselines, scores them, and makes tables.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"gantlet {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    _run(verbs.add_parser("run", help="train, score and tabulate a grid (the default; without arguments: quickstart)"))
    _list(verbs.add_parser("list", help="what there is: tasks, baselines, metrics, grids"))
    _score(verbs.add_parser("score", help="score samples, a checkpoint, or a finished run anew, without training"))
    _compare(verbs.add_parser("compare", help="two runs, or two methods of one: differences, and what can't be told"))
    _report(verbs.add_parser("report", help="a run's tables again, and its site: pages that open from disk"))
    _check(verbs.add_parser("check", help="put every promise of a method, task or metric of your own to the test"))
    _sample(verbs.add_parser("sample", help="text from a trained cell; answers to your sources; blanks filled"))
    _doctor(verbs.add_parser("doctor", help="what this machine can run, what is missing, and how long a grid takes"))
    return top


def _run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("grid", nargs="?", help="a TOML file, or the name of a grid that comes with the suite")
    _grid_flags(verb)
    verb.add_argument("--against", type=_names, help="more baselines, beside those of --plugin")
    verb.add_argument("--metrics", type=_names, help="more metrics, beside each task's, as mauve")
    verb.add_argument("--samples", type=_positive, help="free tasks: at most this many samples (default 10000)")
    verb.add_argument("--decodings", type=_names, help="as greedy,beam5 or sample@0.8")
    verb.add_argument("--temperatures", type=_numbers, help="free tasks: those of the frontier (default: 0.7 to 1.3)")
    verb.add_argument("--overwrite", nargs="?", const="all", type=_names, metavar="NAMES",
                      help="do again cells of these baselines (default: all) made with other settings")  # fmt: skip
    verb.add_argument("--checkpoint-every", type=float, default=60.0, metavar="SECONDS")
    verb.add_argument("--tensorboard", action="store_true", help="also write TensorBoard logs (extra [tensorboard])")
    verb.add_argument("--progress", choices=("auto", "live", "plain", "none"), default="auto")
    verb.add_argument("--dry-run", action="store_true", help="say what would be done and how long it takes, and stop")


def _doctor(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("grid", nargs="?", help="estimate the time of this grid (default: quickstart)")
    _grid_flags(verb)
    verb.add_argument("--quick", action="store_true", help="no probe, and data files by name and size without hashes")
    verb.add_argument("--json", action="store_true", help="print JSON instead of text")
    verb.set_defaults(against=None, metrics=None, samples=None, decodings=None, temperatures=None)


def _grid_flags(verb: argparse.ArgumentParser) -> None:
    """What is laid over a grid, where its cells go, and the machine that they run on."""
    _data_flags(verb)
    verb.add_argument("--tasks", type=_names, help="as poetry,translation")
    verb.add_argument("--baselines", type=_names, help="as mle,seqgan")
    verb.add_argument("--seeds", type=_seeds, help="how many (5 = seeds 0 to 4), or which (3,7; 3, is seed 3 alone)")
    verb.add_argument(
        "--budget", choices=("smoke", "small", "paper"), help="presets: seconds, minutes, the paper's own"
    )
    verb.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME.KEY=VALUE")
    _plugin_flag(verb)
    verb.add_argument("--limit", type=_positive, help="at most this many rows of each split, for a quick try")
    verb.add_argument("--out", help="the run directory (default: results/runs/NAME)")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    verb.add_argument("--workers", type=_positive, help="cells at a time (default: a core each, or one on a GPU)")
    verb.add_argument("--threads", type=_positive, default=1, help="CPU threads a cell")
    verb.add_argument("--deterministic", action="store_true", help="deterministic kernels on a GPU (slower)")
    verb.add_argument("--probe", type=_seconds, default=12.0, metavar="SECONDS",
                      help="for the time estimate: train each method so long where nothing is known (default 12; 0: "
                      "only what ran before)")  # fmt: skip


def _plugin_flag(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--plugin", dest="plugins", action="append", metavar="FILE.py[:CLASS]",
                      help="your own methods, tasks and metrics")  # fmt: skip


def _list(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", nargs="?", choices=("tasks", "baselines", "metrics", "grids", "data"))
    _plugin_flag(verb)
    verb.add_argument("--data", metavar="DIR|FILE", help="say which sets are there")


def _score(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("samples", nargs="?", help=".txt (a sample a line), .jsonl, .json, .csv, .tsv, each also .gz; "
                      "- for standard input; or a run or a cell, scored anew")  # fmt: skip
    verb.add_argument("--hf", metavar="PATH_OR_ID[@REV]", help="instead: a checkpoint of transformers, sampled under "
                      "the task's protocol, with its exact NLL")  # fmt: skip
    verb.add_argument("--task", help="score against this task's test data, with its metrics")
    _data_flags(verb)
    _plugin_flag(verb)
    verb.add_argument("--references", help="score against the lines of this file instead")
    verb.add_argument(
        "--sources", help="with --paired: line i is what sample i answers: for novel n-grams and adver-suc"
    )
    verb.add_argument(
        "--real",
        help="held-out text that is none of the references: scored too, for the frontier",
    )
    verb.add_argument("--train", help="training text, one line an example: for the copied rate")
    verb.add_argument("--paired", action="store_true", help="line i of --references answers sample i (else: a pool)")
    verb.add_argument("--metrics", type=_names, help="as bleu-2,self-bleu-2 (default: those of the task)")
    verb.add_argument("--tokens", help="how text is cut: word-lower, word, char, space, ...")
    verb.add_argument("--protocol", default="gantlet-1", metavar="NAME",
                      help="as an older code base scores: texygen-table, texygen-fast, textgan-pytorch, relgan, "
                      "leakgan, leakgan-nltk-3.2, textbox (default: gantlet-1, our own)")  # fmt: skip
    verb.add_argument("--device", help="count n-grams here, as cuda (default: NumPy; the values are the same)")
    verb.add_argument("--workers", type=_positive, default=1, help="processes for ROUGE of over 2000 pairs (default 1)")
    verb.add_argument("--explain", action="store_true", help="say in words how each number is computed")
    verb.add_argument("--set", dest="settings", action="append", default=[], metavar="TASK.KEY=VALUE")
    verb.add_argument("--json", action="store_true", help="print JSON instead of a table")
    rows = verb.add_argument_group("files with fields")
    rows.add_argument("--format", choices=("txt", "jsonl", "json", "csv", "tsv"), help="whatever the name says")
    rows.add_argument("--text-field", metavar="NAME", help="default: text, generated, output or prediction")
    rows.add_argument("--references-field", metavar="NAME", help="own references in the file (implies --paired)")
    rows.add_argument("--sources-field", metavar="NAME", help="what each sample answers, in the file")
    rows.add_argument("--id-field", metavar="NAME", help="conditional tasks: rows are put in its order (default: index "
                      "or id, where they hold numbers; none: the file's)")  # fmt: skip
    rows.add_argument("--decoding", help="of a cell's samples.jsonl, which samples; else how they were drawn")
    adding = verb.add_argument_group("rows of a leaderboard, and checkpoints")
    adding.add_argument("--into", metavar="RUN", help="score as this run's rows were, and add the row, as external")
    adding.add_argument("--as", dest="name", metavar="NAME", help="what the row is called")
    adding.add_argument("--seed", type=int, default=0, help="of the row: several make one row with an interval")
    adding.add_argument("--overwrite", action="store_true", help="replace the row of that name and seed")
    adding.add_argument("-n", type=_positive, help="with --hf and no --into: at most this many samples")


def _compare(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("runs", nargs="+", metavar="RUN", help="the base, then the new: run directories or results.csv")
    verb.add_argument("--reference", metavar="DIR", help="the base, as results/reference; then one RUN is given")
    verb.add_argument("--method", help="only this method of the new run")
    verb.add_argument("--to", help="the base's method that it is compared with (default: the same name)")
    verb.add_argument("--tasks", type=_names, help="only these")
    verb.add_argument("--metrics", type=_names, help="only these")
    verb.add_argument("--primary-only", action="store_true", help="only the metric that ranks each task")
    verb.add_argument("--frontier", action="store_true", help="also samples at other temperatures than 1")
    verb.add_argument("--tolerance", action="append", default=[], metavar="[KEY=]X", help="differences up to X (or "
                      "X%%) are of no concern; KEY: METRIC, TASK:METRIC or TASK.METHOD:METRIC")  # fmt: skip
    verb.add_argument("--tolerances", metavar="FILE.toml", help="the same from a file; flags go before it")
    verb.add_argument("--alpha", type=float, default=0.05, help="level of the whole table (default 0.05)")
    verb.add_argument("--over", choices=("auto", "seeds", "items"), default="auto", help="which variation intervals "
                      "hold (default: all that the files allow)")  # fmt: skip
    verb.add_argument("--strict", action="store_true", help="fail too where becoming worse can't be ruled out")
    verb.add_argument("--format", choices=("text", "markdown", "json", "junit"), default="text")
    for form in ("markdown", "json", "junit"):
        verb.add_argument(f"--{form}", action="append", default=[], metavar="FILE", help=f"also write {form} there")
    verb.add_argument("--all", action="store_true", help="text: show also what is the same, however much it is")


def _report(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("runs", nargs="+", metavar="RUN", help="a run directory")
    verb.add_argument("--out", metavar="DIR", help="where the site goes (default: RUN/report)")
    verb.add_argument("--tables", action="store_true", help="the tables alone, without a site")
    verb.add_argument(
        "--reported", action="store_true", help="instead: papers' numbers beside the run's, and what differs"
    )


def _check(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", nargs="?", metavar="NAME", help="a method, task or metric; or FILE.py[:CLASS]")
    _plugin_flag(verb)
    verb.add_argument("--kind", choices=("method", "task", "metric"), help="where one name is several things")
    verb.add_argument("--only", type=_names, metavar="CHECKS", help="these checks alone, as training-repeats")
    verb.add_argument("--skip", type=_names, metavar="CHECKS", help="all but these")
    verb.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                      help="other constants, or a task's options, as steps=5")  # fmt: skip
    verb.add_argument("--data", metavar="DIR|FILE", help="a task: data to try it on (default: embedded)")
    verb.add_argument("--field", dest="fields", action="append", default=[], metavar="OURS=THEIRS",
                      help="a field's name in the data, as text=caption")  # fmt: skip
    verb.add_argument("--seconds", type=float, default=60.0, help="a method: processor time it may take (default 60)")
    verb.add_argument("--list", action="store_true", help="say what each check promises, and stop")


def _sample(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("cell", help="a folder below a run's cells/")
    verb.add_argument("-n", type=_positive, default=10, help="how many (default 10)")
    verb.add_argument("--decoding", help="free text: sample or sample@0.8; with sources also greedy, beam5")
    verb.add_argument("--sources", metavar="FILE", help="conditional tasks: one source a line, turns separated by tabs")
    verb.add_argument("--fill", metavar="TEXT", help="a text with ___ for each token to be filled in (maskgan)")
    verb.add_argument("--stage", default="final", help="weights of an earlier stage, as pretrain")
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def _data_flags(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--data", metavar="DIR|FILE", help="a folder of sets, a text file, hub, or embedded "
                      "(default: GANTLET_DATA, else embedded)")  # fmt: skip
    verb.add_argument("--field", dest="fields", action="append", default=[], metavar="OURS=THEIRS",
                      help="a field's name in the data, as text=caption")  # fmt: skip
    verb.add_argument("--allow-overlap", action="store_true", default=None,
                      help="go on, with a mark, when rows stand in two splits")  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part.strip())


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a count of 1 or more")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def _seeds(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(",") if part.strip())
    if len(numbers) == 1 and "," not in text:
        if numbers == (0,):
            raise argparse.ArgumentTypeError("0 is no count of seeds; seed 0 alone is written 0,")
        return tuple(range(_positive(text)))
    return numbers


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Exit codes: 0 done, 1 some cells failed, 2 a mistake in what was asked, 130 stopped."""
    words = list(sys.argv[1:] if argv is None else argv)
    asked = parser().parse_args(words or ["run"])
    if asked.verb is None:
        parser().print_help()
        return 2
    from metrics.base import MetricError
    from tasks.base import DataError

    try:
        return int(_verb(asked.verb)(asked))
    except (UserError, DataError, MetricError) as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def _verb(name: str) -> Any:
    """The verb's function; imported only now."""
    return getattr(importlib.import_module(f"bench.verbs.{name}"), f"{name}_verb")
