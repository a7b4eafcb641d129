# SPDX-License-Identifier: GPL-3.0-only
"""make install puts everything where it is looked for, and make uninstall leaves nothing of it."""

import stat
import subprocess

from stage import host
from stage.collectd import stock_plugins
from stage.process import wait_until

from support import SOURCE, collectd, csv


def make(t, target, destination, prefix):
    done = subprocess.run(["make", "-C", SOURCE, target, f"BUILD={t.build}", f"DESTDIR={destination}",
                           f"PREFIX={prefix}"], capture_output=True, timeout=100, check=False)
    t.equal(done.returncode, 0, f"status of make {target} ({done.stderr.decode(errors='replace')})")


def files_below(directory):
    return {f"/{path.relative_to(directory)}": path for path in directory.rglob("*") if not path.is_dir()}


def installed(t, prefix):
    """Installs below the test's directory; where, and what is there."""
    destination = t.state / "destination"
    make(t, "install", destination, prefix)
    return destination, files_below(destination)


def test_everything_is_in_its_place(t):
    for prefix in ("/usr", "/usr/local"):
        destination, files = installed(t, prefix)
        share = f"{prefix}/share/deepmon"
        modes = {f"{prefix}/bin/deepmon-execd": 0o755, f"{prefix}/bin/deepmon-top": 0o755,
                 f"{stock_plugins()}/deepmon.so": 0o644,
                 f"{share}/types.db": 0o644, f"{share}/collectd.conf": 0o644, f"{share}/telegraf.conf": 0o644,
                 f"{share}/collectd.service.d/deepmon.conf": 0o644}
        modes |= {f"{prefix}/share/man/man{page.suffix[1:]}/{page.name}": 0o644
                  for front in ("telegraf-execd", "collectd-plugin", "contrib/top") for page in (SOURCE / front).glob("*.[1-8]")}
        t.equal({name: stat.S_IMODE(path.stat().st_mode) for name, path in files.items()}, modes,
                f"files and their modes, PREFIX={prefix}")
        t.true(f'"{prefix}/bin/deepmon-execd"' in files[f"{share}/telegraf.conf"].read_text(),
               "the sample names the binary where it is")
        make(t, "uninstall", destination, prefix)
        t.equal(sorted(destination.rglob("*")), [], f"what is left, PREFIX={prefix}")


def test_what_others_put_there_is_kept(t):
    destination, files = installed(t, "/usr")
    foreign = destination / "usr/share/deepmon/mine"
    foreign.write_text("")
    make(t, "uninstall", destination, "/usr")
    t.equal(files_below(destination), {"/usr/share/deepmon/mine": foreign}, "what is left")
    t.true(files, "there was something")


def test_what_is_installed_runs(t):
    host.require_bpf()
    destination, files = installed(t, "/usr")
    done = subprocess.run([files["/usr/bin/deepmon-execd"], "--version"], capture_output=True, timeout=10,
                          check=False)
    t.equal((done.returncode, done.stdout[:14]), (0, b"deepmon-execd "), "status and output of --version")
    more, directory = csv(t)
    plugin = destination / str(stock_plugins())[1:] / "deepmon.so"
    daemon = collectd(t, interval=1, more=more, plugin=plugin,
                      conf=files["/usr/share/deepmon/collectd.conf"].read_text())
    wait_until(lambda: list(directory.glob("*/deepmon-total-idle/deepmon_cpu_ns*")), 10, "values in collectd")
    t.equal(daemon.stop(), 0, "exit status of collectd")
