"""Hostile input of two kinds: made from the service's own description, and a list of known tricks.

python bench/serving/hostile.py
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, server
from serving.attacks import attacks
from serving.figure import Figure, Options, Row
from serving.load import Connection

ITEMS = 2000
EXAMPLES = 450  # per operation; beside them come cases for every limit of the description
SECONDS = 1800  # for all of them, at most
PATIENCE = 15.0  # seconds for the answer to a trick; the service waits 10 for a body
TOGETHER = 16
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)
SETTINGS = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n"
# What no answer may hold. Paths are those of this machine, so that a page that merely repeats
# '/etc/passwd' from the question is no finding, but a line of that file is.
LEAKS = {
    "a traceback": re.compile(rb'Traceback \(most recent call last\)|File ".*", line \d+'),
    "a line of /etc/passwd": re.compile(rb"root:[x*]?:0:0"),
    "a path of the machine": re.compile(
        b"|".join(
            re.escape(str(path).encode())
            for path in (
                *(Path(sys.prefix), Path(sys.base_prefix) / "lib", server.CACHE),
                Path(__file__).parents[2] / "itemlm",
            )
        )
        + rb"|site-packages"
    ),
    "a statement of the database": re.compile(rb"sqlite3?\.|OperationalError|INSERT INTO"),
}
TEXT = """\
Schemathesis makes requests from /openapi.json, valid and invalid ones, and checks that no answer
has a status of 500 or more and that each has a status, headers and a body of the documented shape.
Then come tricks that we know: huge numbers and slates, deep and malformed JSON, bytes that are no
text, SQL and scripts in every field, paths that climb, filters that are programs, headers that
break lines, bodies that never end. Each must be answered by a status below 500 or by hanging up,
and no answer may hold a traceback, the content of a file or a path of the machine."""


def measure(options: Options) -> Iterator[Row]:
    """Both kinds against one service."""
    folder, home = server.made_up("sasrec", ITEMS), server.CACHE / "home-hostile"
    figure.to_clients()
    with server.running([folder], home, cores=figure.cores()[0], settings=SETTINGS) as running:
        yield described(running.port, 1 if options.quick else EXAMPLES)
        tricks = list(attacks())
        yield asyncio.run(known(running.port, tricks[::10] if options.quick else tricks))
        fine = still_answers(running)
        yield Row(
            "afterwards",
            f"the service {'still answers' if fine else 'answers no more'}",
            "it still answers",
            fine,
        )


def still_answers(running: server.Server) -> bool:
    """Whether a slate can still be had."""
    try:
        answer = running.post("/v1/recommend", {"history": ["item-1"], "k": 10})
    except OSError:
        return False
    items = answer["items"]
    return isinstance(items, list) and len(items) == 10


def described(port: int, examples: int) -> Row:
    """What Schemathesis finds."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://127.0.0.1:{port}/openapi.json",
            *("--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(examples)),
            *("--seed", "0"),
            *("--workers", "2"),
            *("--request-timeout", "30"),
            *("--suppress-health-check", "all"),
            *("--warnings", "off"),
            *("--report", "json"),
            *("--report-json-path", str(report)),
            "--continue-on-failure",
            "--no-shrink",
        ]
        done = subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        if not report.exists():
            raise RuntimeError(f"schemathesis wrote no report:\n{done.stdout[-2000:]}")
        found: dict[str, Any] = json.loads(report.read_text())
    cases, operations = found["test_cases"], found["operations"]
    kinds = [
        f"{failure['title']} at {', '.join(failure['operations'])}" for failure in found["failures"]
    ]
    bad = cases["with_failures"] + cases["errored"]
    if bad:
        print(done.stdout[-4000:])
    return Row(
        "requests made from the description",
        f"{bad} of {cases['generated']:,} failed, over {operations['tested']} of "
        f"{operations['total']} operations" + (f": {'; '.join(kinds)}" if kinds else ""),
        "0 failed",
        bad == 0 and operations["tested"] == operations["total"],
        {"cases": cases["generated"], "failed": bad, "kinds": kinds, "seed": found["seed"]},
    )


async def known(port: int, tricks: list[tuple[str, bytes]]) -> Row:
    """What the list of tricks brings to light."""
    gate, statuses = asyncio.Semaphore(TOGETHER), Counter[str]()
    findings: list[str] = []
    unanswered: list[str] = []

    async def tried(name: str, sent: bytes) -> None:
        async with gate:
            status, answer = await answer_to(port, sent)
        statuses[status] += 1
        if status == "unanswered":
            unanswered.append(name)
        if status.isdigit() and int(status) >= 500:
            findings.append(f"{name}: {status}")
        for leak, pattern in LEAKS.items():
            if pattern.search(answer):
                findings.append(f"{name}: {leak}")

    await asyncio.gather(*(tried(name, sent) for name, sent in tricks))
    for finding in findings[:20]:
        print(f"    {finding}", flush=True)
    told = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return Row(
        "requests with known tricks",
        f"{len(findings)} of {len(tricks):,} brought an error of the service or something to "
        f"light; answers: {told}",
        "0",
        not findings,
        {
            "tricks": len(tricks),
            "findings": findings[:100],
            "unanswered": unanswered,
            "statuses": dict(statuses),
        },
    )


async def answer_to(port: int, sent: bytes) -> tuple[str, bytes]:
    """The status of the answer to some bytes, and all of it; or how the service hung up."""
    connection = await Connection.open(port)
    try:
        async with asyncio.timeout(PATIENCE):
            connection.writer.write(sent)
            reply = await connection.reply()
        return str(reply.status), reply.head + reply.body
    except TimeoutError:
        return "unanswered", b""
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return "hung up", b""
    finally:
        connection.close()


FIGURE = Figure("hostile", "Hostile input", TEXT, measure)

if __name__ == "__main__":
    FIGURE.main()
