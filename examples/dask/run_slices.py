"""Runs the slices of an exported wave as tasks of Dask: run_slices.py JOB SLICES [SCHEDULER]"""
import subprocess, sys
from dask.distributed import Client

job, slices, *scheduler = sys.argv[1:]

def run_slice(index):
    return subprocess.run(["mesh", "wave", "exec", job, "--index", str(index)]).returncode

if __name__ == "__main__":
    with Client(*scheduler) as client:
        sys.exit(max(client.gather(client.map(run_slice, range(1, int(slices) + 1), pure=False))))
