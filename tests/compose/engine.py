"""A Docker engine: the one that runs on this machine, or else one of our own.

Our own is Debian's, unpacked under .tools, and runs in namespaces of its own: its bridges, mounts and
processes are not the machine's, no port of the machine is taken, no firewall rule is changed, and
when the test ends, however it ends, the kernel ends everything in there.
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
    """Why there is no engine here."""


class Engine:
    """How commands reach an engine: the environment in which they run, and what compose is called."""

    def __init__(self, environment, compose):
        self.environment = environment
        self.compose = compose

    def docker(self, *words):
        """What a docker command prints."""
        done = subprocess.run(
            ["docker", *words], check=True, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


def running():
    """The engine that runs here, if one does and there is a compose for it."""
    for compose in (["docker", "compose"], ["docker-compose"]):
        if works("docker", "version") and works(*compose, "version"):
            return Engine(dict(os.environ), compose)
    return None


def works(*command):
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def packages(*names):
    """Where Debian's packages of these names are, unpacked."""
    got = subprocess.run([REPOSITORY / "tests/get-debian", *names], stdout=subprocess.PIPE, text=True)
    if got.returncode != 0:
        raise Unavailable(f"Debian's {' and '.join(names)} cannot be had")
    return pathlib.Path(got.stdout.strip())


def enter_namespaces():
    """Starts this script again, with what our own engine needs around it. Does not return."""
    if os.geteuid() != 0:
        raise Unavailable("no Docker engine runs, and starting one takes root")
    packages("docker.io", "docker-compose")
    if not works(*NAMESPACES, "true"):
        raise Unavailable("no Docker engine runs, and this machine does not allow new namespaces")
    os.execvp("unshare", [*NAMESPACES, sys.executable, *sys.argv, "--in-namespaces"])


@contextlib.contextmanager
def own():
    """Runs an engine until the end of the block, inside of the namespaces."""
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
                # Compose makes its own bridge. Without rules a port is published by a process.
                *("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
                *("--cgroup-parent", CGROUP),
            ],
            env=environment,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us: cleaning up needs the engine.
            start_new_session=True,
        )
        try:
            wait_until_up(daemon, environment, log)
            yield Engine(environment, ["docker-compose"])
        finally:
            daemon.terminate()
            daemon.wait()
            # Version 1 has a hierarchy per controller, version 2 has one.
            for cgroup in pathlib.Path("/sys/fs/cgroup").glob(f"**/{CGROUP}"):
                cgroup.rmdir()


def name_iptables(unpacked, directory, environment):
    """Lets Docker find iptables, by which containers find each other's names. Debian gives it its name when
    it is installed: what is only unpacked has none."""
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
