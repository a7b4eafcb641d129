# SPDX-License-Identifier: GPL-3.0-only
"""Debian's cloud kernels of other releases, from the mirror that this machine's own apt sources name.

Each release gets an apt configuration of its own below the cache, so that nothing of the machine's changes.
What is in the cache is used again, with no look at the mirror; FRESH=1 looks for newer ones.
"""

import os
import platform
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from stage.process import Skip, StageError

# The kernel's series, and the suite that has it. "newest" is whatever sid has.
SUITES = {"5.10": "bullseye-security", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
PACKAGE = "linux-image-cloud-amd64"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NETWORK_SECONDS = 300


def run(command, **options):
    """What it prints; StageError has the last line of what went wrong."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=NETWORK_SECONDS, check=False, **options)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no word why"]
        raise StageError(f"{' '.join(map(str, command[:2]))} ended with status {done.returncode}: {words[-1]}")
    return done.stdout


def archives():
    """The machine's own archives: {"": of releases, "-security": of their security updates}."""
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian":
        raise Skip("the kernels are Debian's, from the mirror of a Debian host", needs="kernels")
    found = {}
    listed = run(["apt-get", "indextargets", "--no-release-info", "--format",
                  "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Identifier: Packages"])
    for line in listed.splitlines():
        suite, component, uri = line.split(" ", 2)
        kind = suite.removeprefix(release["VERSION_CODENAME"])
        if component == "main" and kind in ("", "-security"):
            found.setdefault(kind, uri)
    return found


class Apt:
    """apt with one suite of one archive, and a state of its own."""

    def __init__(self, directory, uri, suite):
        self.directory = directory
        for name in ("state/lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "state/status").touch()
        sources = directory / "sources.list"
        sources.write_text(f"deb [arch=amd64 signed-by={KEYRING}] {uri} {suite} main\n")
        self.options = []
        for option in (f"Dir::State={directory}/state", f"Dir::State::status={directory}/state/status",
                       f"Dir::Cache={directory}/cache", f"Dir::Etc::SourceList={sources}",
                       "Dir::Etc::SourceParts=-", "APT::Architecture=amd64", "APT::Architectures=amd64",
                       "APT::Sandbox::User=root", "Acquire::Languages=none"):
            self.options += ["-o", option]

    def clean(self):
        for name in ("state", "cache"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        for file in (self.directory / "sources.list", *self.directory.glob("*.deb")):
            file.unlink(missing_ok=True)

    def get(self, *arguments):
        return run(["apt-get", "-qq", *self.options, *arguments], cwd=self.directory)

    def depends(self, package, prefix):
        """The first of its dependencies with that prefix and a version in the name, or None."""
        listed = run(["apt-cache", *self.options, "depends", "--important", package])
        found = re.search(rf"^\s*(?:Pre)?Depends: ({prefix}-\d\S+)$", listed, re.M)
        return found and found[1]

    def kernel_package(self):
        """PACKAGE only names the one that has the kernel; from 7 on that, too, has it in another."""
        image = self.depends(PACKAGE, "linux-image")
        if not image:
            raise StageError(f"{PACKAGE} depends on no linux-image")
        return self.depends(image, "linux-binary") or image


def headers(cache, series):
    """Directory to build modules for that series' kernel with; Skip where it cannot be had."""
    kernel = fetch(cache, series)
    flavour = kernel.name.removeprefix("linux-image-")
    directory = Path(cache, series, "headers").absolute()
    build = directory / "usr/src" / f"linux-headers-{flavour}"
    if build.is_dir():
        return build
    uri = archives().get("-security" if SUITES[series].endswith("-security") else "")
    apt = Apt(kernel.parent, uri, SUITES[series])
    try:
        apt.get("update")
        package = f"linux-headers-{flavour}"
        packages = [package, apt.depends(package, "linux-headers"), apt.depends(package, "linux-kbuild")]
        apt.get("download", *packages)
        shutil.rmtree(directory, ignore_errors=True)
        for deb in apt.directory.glob("*.deb"):
            run(["dpkg-deb", "-x", deb, directory])
        # It expects to be where packages are installed.
        makefile = build / "Makefile"
        makefile.write_text(makefile.read_text().replace(" /usr/src/", f" {build.parent}/"))
    except (StageError, subprocess.TimeoutExpired) as error:
        raise Skip(f"the headers of {flavour} cannot be had: {error}", needs="kernels") from error
    finally:
        apt.clean()
    return build


def unpack_kernel(deb, path):
    """The kernel inside a package."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as files:
            for member in files:
                if member.isfile() and Path(member.name).name.startswith("vmlinuz"):
                    new = path.with_name(path.name + ".new")
                    with open(new, "wb") as image:
                        shutil.copyfileobj(files.extractfile(member), image)
                    new.rename(path)
                    process.kill()
                    return
    raise StageError(f"{deb.name} has no kernel in it")


def fetch(cache, series):
    """Path of that series' kernel; Skip where it cannot be had."""
    directory = Path(cache, series).absolute()
    suite = SUITES[series]
    known = sorted(directory.glob("linux-*-amd64"))
    if known and not os.environ.get("FRESH"):
        return known[-1]
    uri = archives().get("-security" if suite.endswith("-security") else "")
    if not uri:
        raise Skip(f"this host's apt sources name no archive that has {suite}", needs="kernels")
    apt = Apt(directory, uri, suite)
    try:
        apt.get("update")
        package = apt.kernel_package()
        if directory / package not in known:
            apt.get("download", package)
            unpack_kernel(next(directory.glob("*.deb")), directory / package)
    except (StageError, subprocess.TimeoutExpired) as error:
        raise Skip(f"the kernel of {suite} cannot be had: {error}", needs="kernels") from error
    finally:
        apt.clean()
    for old in known:
        if old.name != package:
            old.unlink()
    return directory / package
