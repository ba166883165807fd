"""A Docker engine: the one that runs on this machine, or else our own.

Our own is Debian's, unpacked under .tools. It runs in its own namespaces, so that it shares no bridges, mounts or
processes with the machine, takes no port, and changes no firewall rule. When the test ends, for whatever reason, the
kernel ends everything in them.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
CGROUP = "portcullis-test"
START_TIMEOUT_SECONDS = 30


class Unavailable(Exception):
    """The reason why there is no engine here."""


class Engine:
    """An engine: the environment for its commands, and the command for compose."""

    def __init__(self, environment, compose):
        self.environment = environment
        self.compose = compose

    def docker(self, *words):
        """The output of a docker command."""
        done = subprocess.run(
            ["docker", *words], check=True, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


def running():
    """The engine that runs here, if there is one, and compose is installed."""
    for compose in (["docker", "compose"], ["docker-compose"]):
        if works("docker", "version") and works(*compose, "version"):
            return Engine(dict(os.environ), compose)
    return None


def works(*command):
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def packages(*names):
    """The directory of these Debian packages, unpacked."""
    got = subprocess.run([REPOSITORY / "tests/get-debian", *names], stdout=subprocess.PIPE, text=True)
    if got.returncode != 0:
        raise Unavailable(f"Debian's {' and '.join(names)} cannot be fetched")
    return pathlib.Path(got.stdout.strip())


def enter_namespaces():
    """Starts this script again in the namespaces that our own engine needs. Does not return."""
    if os.geteuid() != 0:
        raise Unavailable("no Docker engine runs, and starting one needs root")
    packages("docker.io", "docker-compose")
    if not works(*NAMESPACES, "true"):
        raise Unavailable("no Docker engine runs, and this machine does not allow new namespaces")
    os.execvp("unshare", [*NAMESPACES, sys.executable, *sys.argv, "--in-namespaces"])


@contextlib.contextmanager
def own():
    """Runs an engine in the namespaces until the end of the block."""
    bring_loopback_up()
    unpacked = packages("docker.io", "docker-compose")
    with tempfile.TemporaryDirectory(prefix="portcullis-docker-") as directory:
        host = f"unix://{directory}/docker.sock"
        environment = {
            **os.environ,
            "DOCKER_HOST": host,
            "PATH": f"{unpacked}/usr/sbin:{unpacked}/usr/bin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(map(str, unpacked.glob("usr/lib/*-linux-gnu"))),
            "PYTHONPATH": f"{unpacked}/usr/lib/python3/dist-packages",
        }
        if not shutil.which("iptables"):
            name_iptables(unpacked, pathlib.Path(directory, "bin"), environment)
        log = pathlib.Path(directory, "log")
        daemon = subprocess.Popen(
            [
                *("dockerd", "--host", host, "--pidfile", f"{directory}/pid"),
                *("--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
                # Compose creates its own bridge. Without iptables rules, a process publishes each port.
                *("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
                *("--cgroup-parent", CGROUP),
            ],
            env=environment,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            # Ctrl-C must not end it, because the cleanup needs the engine.
            start_new_session=True,
        )
        try:
            wait_until_up(daemon, environment, log)
            yield Engine(environment, ["docker-compose"])
        finally:
            daemon.terminate()
            daemon.wait()
            # Version 1 has a hierarchy for each controller, version 2 has a single one.
            for cgroup in pathlib.Path("/sys/fs/cgroup").glob(f"**/{CGROUP}"):
                cgroup.rmdir()


def name_iptables(unpacked, directory, environment):
    """Makes iptables available to Docker, which needs it so that containers resolve each other's names. Debian creates
    this name on installation, so the unpacked package lacks it."""
    directory.mkdir()
    (directory / "iptables").symlink_to(unpacked / "usr/sbin/xtables-nft-multi")
    environment["PATH"] += f":{directory}"
    environment["XTABLES_LIBDIR"] = str(next(unpacked.glob("usr/lib/*-linux-gnu/xtables")))


def bring_loopback_up():
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def wait_until_up(daemon, environment, log):
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        asked = subprocess.run(["docker", "version"], env=environment, capture_output=True)
        if asked.returncode == 0:
            return
        time.sleep(0.2)
    raise Unavailable("dockerd does not start here: " + (log.read_text().splitlines() or [""])[-1])
