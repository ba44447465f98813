"""What every measurement needs: running programs, timing them, taking medians, cleaning up."""

import os
import resource
import signal
import statistics
import subprocess
import sys
import time


class Failure(Exception):
    """A measurement that could not be made; the message is for a person."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def stop_politely():
    """Ctrl-C and SIGTERM become an exception, so that every clean-up runs."""

    def stop(number, _frame):
        # A second one must not interrupt the clean-up.
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt(f"signal {number}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def run(argv, input=None, status=(0,), **options):
    """Runs a program to its end and gives its standard output; throws with what it said when it fails."""
    done = subprocess.run(
        [str(word) for word in argv], input=input, stdin=subprocess.DEVNULL if input is None else None,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode not in status:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise Failure(f"{argv[0]} {' '.join(map(str, argv[1:4]))} ended with {done.returncode}\n{said}")
    return done.stdout


def timed(argv, input=None, **options):
    """Runs a program and gives (seconds, seconds of CPU of it and its children, standard output)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    output = run(argv, input=input, **options)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, output


def median(values):
    return statistics.median(values)


def row(what, ours, theirs, goal, unit="s", note=""):
    """One line of the table: our measurements against theirs, taken in turn; the goal is a ratio.

    The ratio is the median of the ratios of neighbours in time: on a busy machine it says more than that of medians.
    """
    ratio = median([a / b for a, b in zip(ours, theirs)])
    return {
        "what": what, "bascule": median(ours), "reference": median(theirs), "unit": unit, "ratio": ratio, "goal": goal,
        "met": ratio <= goal, "note": note, "measured": [list(pair) for pair in zip(ours, theirs)],
    }


def limit(what, value, goal, unit, note=""):
    """One line of the table: a figure against a limit, both in `unit`."""
    return {"what": what, "bascule": value, "unit": unit, "goal": goal, "met": value <= goal, "note": note}


def environment(**more):
    """Ours without what would change what is measured."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "BASCULE_WRITE"))}
    return {**kept, "LC_ALL": "C.UTF-8", **more}
