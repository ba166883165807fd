"""Images for a machine that cannot pull any.

A stand-in contains only the programs that docker-compose.yaml and its scripts run, and their libraries, with the paths
and the users of the image that it replaces.
"""

import io
import os
import pathlib
import re
import subprocess
import tarfile

LIBRARY = pathlib.Path(__file__).resolve().parent.parent.parent / "dist/libportcullis.so"
USERS = "root:x:0:0::/:/bin/sh\nenvoy:x:101:101::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"


def envoy(engine, name, binary):
    programs = {"/usr/local/bin/envoy": binary, "/bin/bash": "/bin/bash", "/bin/sed": "/bin/sed"}
    # What the plugins' library loads, which is in the image that this replaces.
    loaded = {file: file for file in libraries(LIBRARY)} if LIBRARY.exists() else {}
    build(engine, name, {**programs, **loaded}, [], directories=["tmp"])


def prometheus(engine, name, packages):
    programs = {f"/bin/{tool}": packages / "usr/bin" / tool for tool in ("prometheus", "promtool")}
    settings = ["USER nobody", 'ENTRYPOINT ["/bin/prometheus"]']
    build(engine, name, programs, settings, directories=["prometheus"])


def ratelimit(engine, name, program):
    """The service of the tests, which reads the same settings."""
    build(engine, name, {"/bin/ratelimit": program}, [], directories=[])


def redis(engine, name, packages):
    # Debian's libraries stay where they were unpacked.
    folders = sorted(str(folder) for folder in packages.glob("usr/lib/*-linux-*"))
    path = ":".join(folders)
    programs = {f"/bin/{program}": packages / "usr/bin" / program for program in ("redis-server", "redis-cli")}
    settings = [f"ENV LD_LIBRARY_PATH={path}"]
    build(engine, name, programs, settings, directories=[], environment={**os.environ, "LD_LIBRARY_PATH": path})


def rust(engine, name, _):
    """Its `make` does nothing: a build would need the network, and the modules are already in dist."""
    programs = {f"/bin/{program}": f"/bin/{program}" for program in ("sh", "mkdir", "chown")}
    build(engine, name, {**programs, "/bin/make": "/bin/true"}, [], directories=[])


def build(engine, name, programs, settings, directories, environment=None):
    settings = ["ENV PATH=/usr/local/bin:/bin", *settings]
    importing = subprocess.Popen(
        ["docker", "import", *(word for setting in settings for word in ("--change", setting)), "-", name],
        env=engine.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    with importing, tarfile.open(fileobj=importing.stdin, mode="w|") as root:
        for directory in directories:
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            root.addfile(entry)
        add(root, "/etc/passwd", USERS.encode(), 0o644)
        files = dict(programs)
        for program in programs.values():
            files.update((library, library) for library in libraries(program, environment))
        for path, source in files.items():
            add(root, path, pathlib.Path(source).read_bytes(), 0o755)
    if importing.returncode != 0:
        raise RuntimeError(f"docker import of {name} failed")


def add(root, path, content, mode):
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(content), mode
    root.addfile(entry, io.BytesIO(content))


def libraries(program, environment=None):
    """The shared libraries that a program loads, and the loader."""
    listed = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return re.findall(r"(?:=> |^\s+)(/\S+)", listed, re.MULTILINE)
