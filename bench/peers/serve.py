"""How the peers of bench/compare answer: a case a line on standard input, as JSON, an answer a line on standard output.

A case is {"what": "step" | "infer", "model", "precision", "batch", "threads", "seconds"}, an answer {"median_ms", "cpu_ms",
"setting"} or {"error"}. Of the settings that a user would choose between (layout, engine) the fastest answers: all are
tried when a case comes for the first time, and that one alone after it.
"""
import importlib.metadata
import json
import os
import statistics
import sys
import time


def measure(work, seconds):
    """After a warm-up: the median of as many calls as take `seconds`, at least 20, but of slow ones as take ten times that."""
    begin, warm_up = time.perf_counter(), 0
    while warm_up < 3 or time.perf_counter() - begin < 0.1 * seconds:
        work()
        warm_up += 1
    times, begin, cpu = [], time.perf_counter(), time.process_time()
    while True:
        start = time.perf_counter()
        work()
        now = time.perf_counter()
        times.append(now - start)
        if now - begin > (seconds if len(times) >= 20 else 10 * seconds):
            break
    cpu = time.process_time() - cpu
    return {"median_ms": 1e3 * statistics.median(times), "cpu_ms": 1e3 * cpu / len(times)}


def answer(case, works, chosen):
    """`works(case)` gives {setting: function that makes the work}; `chosen` keeps the fastest work of each case."""
    seconds = case.pop("seconds")
    key = json.dumps(case, sort_keys=True)
    if key not in chosen:
        tried, reasons = [], []
        for setting, make in works(case).items():
            try:
                work = make()
                tried.append((measure(work, 0.3 * seconds)["median_ms"], setting, work))
            except Exception as error:  # a setting that cannot be had leaves the others
                reasons.append(f"{setting or 'it'}: {type(error).__name__}: {str(error).strip()[:200]}")
        if not tried:
            raise RuntimeError("; ".join(reasons))
        chosen[key] = min(tried, key=lambda entry: entry[0])[1:]
    setting, work = chosen[key]
    return {**measure(work, seconds), "setting": setting}


def version_of(package):
    return importlib.metadata.version(package)


def serve(version, works):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    print(json.dumps({"version": version}), file=answers, flush=True)
    chosen = {}
    for line in sys.stdin:
        try:
            result = answer(json.loads(line), works, chosen)
        except Exception as error:  # one case that cannot be done is no end of the others
            result = {"error": str(error)}
        print(json.dumps(result), file=answers, flush=True)
