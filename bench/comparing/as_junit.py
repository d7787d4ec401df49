"""A comparison as JUnit XML, which CI systems show as tests: a suite a task, a case a method and value."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Tree

from bench.comparing import saying
from bench.comparing.findings import UNSURE, Finding
from bench.comparing.table import Compared

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
# what XML 1.0 can't hold, escaped or not
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(compared: Compared) -> str:
    """A failure is what fails the gate, an error what is not comparable, skipped what can't be told."""
    top = Tree.Element("testsuites", name="gantlet compare")
    by_task: dict[str, list[Finding]] = {}
    for each in compared.findings:
        by_task.setdefault(each.task, []).append(each)
    for task, findings in by_task.items():
        suite = Tree.SubElement(top, "testsuite", name=_text(task))
        for each in findings:
            _case(suite, each, compared)
        _count(suite)
    _count(top)
    Tree.indent(top)
    return f"{_DECLARATION}\n{Tree.tostring(top, encoding='unicode')}\n"


def _case(suite: Tree.Element, each: Finding, compared: Compared) -> None:
    about = {"classname": _text(each.subject), "name": _text(each.name), "time": "0"}
    case = Tree.SubElement(suite, "testcase", about)
    numbers = f"{saying.signed(each.difference, each)} {saying.interval(each)}  " if each.evidence is not None else ""
    line = _text(f"{numbers}{each.verdict}: {saying.details(each)}".removesuffix(": "))
    if compared.fails(each):
        Tree.SubElement(case, "failure", message=line, type=each.verdict).text = _signatures(each)
    elif each.verdict == "not comparable":
        Tree.SubElement(case, "error", message=line, type=each.verdict).text = _signatures(each)
    elif each.verdict in UNSURE:
        Tree.SubElement(case, "skipped", message=line)
    else:
        Tree.SubElement(case, "system-out").text = line


def _count(element: Tree.Element) -> None:
    cases = list(element.iter("testcase"))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
    element.set("tests", str(len(cases)))
    element.set("time", "0")


def _signatures(each: Finding) -> str:
    return _text(f"base {each.signatures[0]}\nnew  {each.signatures[1]}" if any(each.signatures) else "")


def _text(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
