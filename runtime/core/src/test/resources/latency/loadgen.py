"""Lets MLPerf LoadGen measure a worker of random latency and writes its traces and verdicts beside this file.

Needs `pip install mlcommons-loadgen==6.0.17`; takes ten seconds. A file has a line of `key=value`, then one latency in
nanoseconds a line, in the order of the queries. Latencies are measured, so every run writes other numbers.
"""

import pathlib
import random
import re
import tempfile
import time

import mlperf_loadgen as loadgen

HERE = pathlib.Path(__file__).parent
SINGLE, SERVER = loadgen.TestScenario.SingleStream, loadgen.TestScenario.Server


def run(scenario, queries: int, percentile: float, limit_nanos: int = 0) -> tuple[dict[str, object], list[int]]:
    """LoadGen's early stopping in numbers, and the latency of every query in nanoseconds."""
    draw = random.Random(queries)

    def issue(samples):
        for sample in samples:
            end = time.perf_counter() + draw.lognormvariate(-9, 0.5)
            while time.perf_counter() < end:
                pass
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = scenario, loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms, settings.min_query_count, settings.max_query_count = 0, queries, queries
    settings.single_stream_target_latency_percentile = settings.server_target_latency_percentile = percentile / 100
    settings.server_target_qps, settings.server_target_latency_ns = 1000, limit_nanos
    log = loadgen.LogSettings()
    log.enable_trace = True
    with tempfile.TemporaryDirectory() as folder:
        log.log_output.outdir = folder
        worker = loadgen.ConstructSUT(issue, lambda: None)
        library = loadgen.ConstructQSL(64, 64, lambda _: None, lambda _: None)
        loadgen.StartTestWithLogSettings(worker, library, settings, log, "")
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(worker)
        detail = pathlib.Path(folder, "mlperf_log_detail.txt").read_text()
        trace = pathlib.Path(folder, "mlperf_log_trace.json").read_text()  # not always valid JSON
    met = re.search(r'"early_stopping_met", "value": (true|false)', detail).group(1)
    estimates = dict(re.findall(r'"early_stopping_latency_(ss|ms)", "value": (\d+)', detail))
    spans = re.findall(r'"sample_seq":(\d+),.*?"complete_ns":(\d+)', trace)
    latencies = [int(nanos) for _, nanos in sorted(spans, key=lambda span: int(span[0]))]
    if len(latencies) != queries:
        raise ValueError(f"the trace must have {queries} latencies: {len(latencies)}")
    return {"met": met, "p": estimates.get("ss", 0), "p99": estimates.get("ms", 0)}, latencies


def main() -> None:
    """Single-stream traces from the fewest queries on, and server runs against limits on both sides of their p99."""
    cases = [(SINGLE, n, p, 0) for n, p in ((63, 90), (64, 90), (196, 90), (662, 90), (1500, 95), (2500, 99))]
    cases += [(SERVER, 700, 99, int(limit * 1e6)) for limit in (1.5, 4, 7, 9, 12, 20)]
    for number, (scenario, queries, percentile, limit) in enumerate(cases):
        found, latencies = run(scenario, queries, percentile, limit)
        name = "server" if scenario == SERVER else "single-stream"
        head = " ".join(f"{key}={value}" for key, value in {"percentile": percentile, "limit": limit, **found}.items())
        (HERE / f"loadgen-{name}-{number:02}.txt").write_text("\n".join([head, *map(str, latencies)]) + "\n")


main()
