import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from measuring import FOLDER, Contestant, run, table

MEASURED = """
import sys
sys.path.insert(0, {peers!r})
from measure import measured
with measured("numpy") as facts:
    facts["length"] = len(bytearray(b"x") * 100_000_000)
"""

BARE_STEPS = """
import sys
sys.path.insert(0, {peers!r})
import torch
from bare_sasrec import SASRec, bucketed_step, plain_step
from pace import Ticks
batch = torch.randint(1, 21, (30, 51)) * (torch.arange(51) < torch.randint(2, 52, (30, 1)))
gradients = []
for step in (plain_step, bucketed_step):
    torch.manual_seed(0)
    model = SASRec(20).eval()
    step(model, batch)
    gradients.append(torch.cat([each.grad.flatten() for each in model.parameters()]))
ticks = Ticks(warm_up=2)
ticks.counts, ticks.times = [9, 9, 30, 50, 7], [1.0, 2.0, 4.0, 6.0]
print([float((gradients[0] - gradients[1]).abs().max()), float(gradients[0].abs().max()),
       ticks.rate()])
"""


def contestant(code: str) -> Contestant:
    return Contestant("it", [sys.executable, "-c", code])


@pytest.fixture
def measured(tmp_path: Path) -> Contestant:
    entry = contestant(MEASURED.format(peers=str(FOLDER / "peers")))
    run(entry, {}, tmp_path)
    return entry


def test_run_notes_what_the_block_took(measured: Contestant) -> None:
    (facts,) = measured.runs
    assert facts["length"] == 100_000_000
    assert 95 < facts["peak_mb"] < 130
    assert facts["cpu_s"] > 0
    assert measured.versions() == f"numpy {np.__version__}"


def test_medians_are_over_runs() -> None:
    entry = Contestant("it", [], runs=[{"cpu_s": 1.0}, {"cpu_s": 9.0}, {"cpu_s": 2.0}])
    assert entry.median("cpu_s") == 2.0


def test_failure_is_told_and_not_tried_again(tmp_path: Path) -> None:
    entry = contestant("import pathlib; pathlib.Path('ran').open('a').write('x'); 1 / 0")
    for _ in range(2):
        run(entry, {}, tmp_path)
    assert entry.trouble == "ZeroDivisionError: division by zero"
    assert (tmp_path / "ran").read_text() == "x"


def test_threads_reach_the_script(tmp_path: Path) -> None:
    entry = contestant("import os; print(os.environ['POLARS_MAX_THREADS'])")
    run(entry, {"POLARS_MAX_THREADS": "1"}, tmp_path)
    assert entry.runs == [1]


def test_table_has_ratios_and_names_the_absent(measured: Contestant) -> None:
    failed = Contestant("failed", [], trouble="ValueError: no")
    _, *lines = table([measured, failed, Contestant("peer", None)], measured)
    assert lines[0].split()[:3:2] == ["it", "1.00"]
    assert lines[0].endswith(f"1.00  numpy {np.__version__}")
    assert [line.split(maxsplit=1) for line in lines[1:]] == [
        ["failed", "ValueError: no"],
        ["peer", "absent"],
    ]


def test_bare_script_stores_what_a_loop_would(tmp_path: Path) -> None:
    rows = ["u2,b,7", "u10,a,5", "u2,a,9", "u2,c,8", "u10,c,4", "u2,b,1"]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n", encoding="utf-8")
    script = str(FOLDER / "peers" / "bare.py")
    subprocess.run(
        [sys.executable, script, str(log), str(tmp_path)], check=True, capture_output=True
    )
    stored = {path.stem: np.load(path).tolist() for path in tmp_path.glob("*.npy")}
    # Users in the order of their ids as text: u10, u2.
    assert stored == {
        "offsets": [0, 2, 6],
        "item_ids": [3, 1, 2, 2, 3, 1],
        "times": [4, 5, 1, 7, 8, 9],
        "train_ends": [0, 4],
    }


def test_bare_loops_of_sasrec_have_the_same_gradient(tmp_path: Path) -> None:
    entry = contestant(BARE_STEPS.format(peers=str(FOLDER / "peers")))
    run(entry, {"OMP_NUM_THREADS": "1"}, tmp_path)
    assert entry.trouble == ""
    ((difference, size, rate),) = entry.runs
    assert difference < 1e-6 < 1e-3 < size
    assert rate == (30 + 50) / (6.0 - 2.0)
