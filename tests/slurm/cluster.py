"""A Slurm cluster of three nodes on this machine: a controller and three slurmd on the loopback address, without systemd.

    with Cluster() as cluster: …    # sets SLURM_CONF

Needs root, and Debian's slurm-wlm and munge, which are installed if they are missing. Everything is ended by process id.
"""
import os, shutil, signal, socket, subprocess, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def install(programs, packages):
    if all(shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") for program in programs):
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def wait_for(what, holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"FAILED waiting for {what}")
        time.sleep(0.1)


class Cluster:
    def __enter__(self):
        install(["sbatch", "slurmctld", "slurmd", "munged"], ["slurm-wlm", "munge"])
        self.dir = Path(tempfile.mkdtemp(prefix="mesh-slurm-"))
        for folder in ["state", "log", *(f"spool/n{node}" for node in (1, 2, 3))]:
            (self.dir / folder).mkdir(parents=True)
        text = (HERE / "slurm.conf.in").read_text()
        text = text.replace("@DIR@", str(self.dir)).replace("@HOST@", socket.gethostname().split(".")[0])
        (self.dir / "slurm.conf").write_text(text)
        os.environ["SLURM_CONF"] = str(self.dir / "slurm.conf")
        os.environ["PATH"] += ":/usr/sbin"
        self.started_munge = self.munge()
        subprocess.run(["slurmctld", "-f", os.environ["SLURM_CONF"]], check=True)
        for node in ("n1", "n2", "n3"):
            self.start_node(node)
        wait_for("three idle nodes", lambda: self.out("sinfo", "-h", "-o", "%T %D").strip() == "idle 3")
        return self

    def munge(self):
        """Starts munged unless it runs; returns whether it did."""
        if not subprocess.run(["pgrep", "-x", "munged"], stdout=subprocess.DEVNULL).returncode:
            return False
        for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
            os.makedirs(folder, exist_ok=True)
            shutil.chown(folder, "munge", "munge")
        as_munge = ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups"]
        subprocess.run([*as_munge, "/usr/sbin/munged"], check=True)
        return True

    def out(self, *command):
        return subprocess.run(command, capture_output=True, text=True).stdout

    def start_node(self, node):
        subprocess.run(["slurmd", "-f", os.environ["SLURM_CONF"], "-N", node], check=True)

    def fail_node(self, node):
        """Ends everything that runs on a node, as a loss of power does."""
        self.end_daemons(f"-N {node}")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"SLURMD_NODENAME={node}".encode() in environment:
                kill(int(process.name))

    def end_daemons(self, arguments):
        """Ends the daemons of this cluster that were started with these arguments."""
        for pid in self.out("pgrep", "-f", f"slurm.* -f {os.environ['SLURM_CONF']} ?{arguments}").split():
            kill(int(pid))

    def __exit__(self, *_):
        self.out("scancel", "--me")
        self.end_daemons("")
        if self.started_munge:
            subprocess.run(["pkill", "-x", "munged"])
            wait_for("the end of munged", lambda: not self.out("pgrep", "-x", "munged"))
        time.sleep(0.5)
        shutil.rmtree(self.dir, ignore_errors=True)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
