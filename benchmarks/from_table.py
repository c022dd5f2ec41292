"""How long ``Sequences.from_table`` takes on a Parquet file, and how much memory.

    python benchmarks/from_table.py                   10 million rows, 20 columns, 100,000 ids
    python benchmarks/from_table.py --rows 1000000    a smaller file

Each case runs in a process of its own. The ratio is the growth of peak memory over the size of the values.
Seconds well above those of work, on two threads, mean that other processes had the processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

FEATURES = 20
ROW_GROUP = 1_000_000

# Peak memory is read from the kernel's own high-water mark, which counts Arrow's buffers too.
MEASURE = """
import json, sys, time
import sostenuto.sequences, pyarrow.parquet, pandas
from sostenuto.sequences import Sequences

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

before = peak()
start, worked = time.perf_counter(), time.process_time()
sequences = Sequences.from_table(sys.argv[1], id="unit", time="cycle")
seconds, worked = time.perf_counter() - start, time.process_time() - worked
size = sequences.values.nbytes
print(json.dumps({"seconds": seconds, "worked": worked, "memory": peak() - before, "data": size}))
"""


def write(path: Path, rows: int, ids: int, dtype: str, shuffled: bool) -> None:
    """Writes a table of ``rows`` rows; shuffled rows come in no order at all."""
    random = np.random.default_rng(0)
    unit = np.sort(random.integers(0, ids, rows))
    first = np.searchsorted(unit, unit)
    cycle = np.arange(rows) - first
    if shuffled:
        order = random.permutation(rows)
        unit, cycle = unit[order], cycle[order]
    schema = pa.schema(
        [("unit", pa.int64()), ("cycle", pa.int64())]
        + [(f"sensor_{number}", pa.from_numpy_dtype(dtype)) for number in range(FEATURES)]
    )
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, ROW_GROUP):
            part = slice(start, min(start + ROW_GROUP, rows))
            sensors = [random.standard_normal(part.stop - start).astype(dtype) for _ in range(FEATURES)]
            writer.write_table(pa.table([unit[part], cycle[part], *sensors], schema=schema))


def main() -> None:
    """Writes, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--ids", type=int, default=None, help="default: one per 100 rows")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    options = parser.parse_args()
    ids = options.ids or max(1, options.rows // 100)
    print(f"{options.rows:,} rows, {FEATURES} columns, {ids:,} ids")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in options.dtypes:
            for shuffled in (True, False):
                path = Path(folder) / "table.parquet"
                write(path, options.rows, ids, dtype, shuffled)
                done = subprocess.run(
                    [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
                )
                found = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"{dtype}  {'shuffled' if shuffled else 'in order'}  {found['seconds']:6.2f} s"
                    f" ({found['worked']:.2f} s of work)"
                    f"  memory {found['memory'] / found['data']:.2f} x data ({found['data'] / 1e6:,.0f} MB)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
