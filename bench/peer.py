"""What the peers of bench/compare_torch share: how a case is timed, and how cases are answered."""
import json
import os
import statistics
import sys
import time


def measure(work, seconds):
    begin = time.perf_counter()
    warm_up = 0
    while warm_up < 3 or time.perf_counter() - begin < 0.2:
        work()
        warm_up += 1
    times, begin, cpu = [], time.perf_counter(), time.process_time()
    while len(times) < 20 or (time.perf_counter() - begin < seconds and len(times) < 20000):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    return {"median_ms": 1e3 * statistics.median(times), "cpu_ms": 1e3 * cpu / len(times), "runs": len(times)}


def serve(version, work_of):
    """Answers cases, a line of JSON each, with the times of work_of(case)."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    print(json.dumps({"version": version}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            case = json.loads(line)
            answer = measure(work_of(case), case["seconds"])
        except Exception as error:  # one case that cannot be done is no end of the others
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
