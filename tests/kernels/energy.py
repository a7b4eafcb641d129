# SPDX-License-Identifier: GPL-3.0-only
"""Energy through the kernel's own powercap framework: a guest whose module rapl_model.ko is its RAPL.

energy_guest.sh is the guest's init and shows what deepmon-execd and the model say; here the one is held
against the other.
"""

import shutil
import subprocess
from pathlib import Path

import images
import initramfs
from stage.lineprotocol import find, parse_line
from stage.process import StageError, find_program, spawn, stop_process

HERE = Path(__file__).resolve().parent
RANGE_UJ = 500_000_000
IDLE_WATTS = {"package": 50, "core": 5, "dram": 10}  # as in module/rapl_model.c
TOLERANCE = 0.03  # under emulation a CPU may stand still between two of its instructions
GUEST_SECONDS = 100


def build_module(directory, headers):
    """rapl_model.ko for the kernel of those headers."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(HERE / "module", directory)
    with open(directory / "log", "w", encoding="utf-8") as log:
        done = subprocess.run(["make", "-C", headers, f"M={directory}", "KCFLAGS=-Werror", "modules"],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise StageError(f"the module can't be built: {log.name}")
    return directory / "rapl_model.ko"


class Told:
    """What the guest showed."""

    def __init__(self, text):
        self.reports, self.model, self.cpu_ns, self.log, last, cpu_ns = {}, {}, {}, [], [], {}
        for line in text.replace("\r", "").splitlines():
            word, _, rest = line.partition(" ")
            if word == "model":
                last.append(rest.split())
            elif word == "report":
                points = self.reports[rest] = []
                self.model[rest] = {(when, zone): int(uj) / 1e6 for when, zone, uj in last}
                self.cpu_ns[rest] = cpu_ns
                last, cpu_ns = [], {}
            elif word.startswith("deepmon_"):
                points.append(parse_line(line))
            elif word == "cpu_ns":
                when, of, ns = rest.split()
                cpu_ns[when, of] = int(ns)
            elif word == "log":
                self.log.append(rest)
        self.ended = "\nguest done" in text
        self.status = text.partition("execd ended with status ")[2][:1]

    def parts(self, name, domain):
        """Joules by kind."""
        points = find(self.reports[name], "deepmon_total_energy", domain=domain)
        return {point.tags["kind"]: point.fields["energy_joules"] for point in points}

    def grown(self, before, after, domain):
        first = self.parts(before, domain)
        return {kind: joules - first[kind] for kind, joules in self.parts(after, domain).items()}

    def seconds(self, before, after):
        return (self.reports[after][0].time_ns - self.reports[before][0].time_ns) / 1e9

    def shares(self, before, after):
        """The container's part of the time that the kernel gave to tasks, at least and at most."""
        part = self.cpu_ns[after]["after", "container"] - self.cpu_ns[before]["after", "container"]
        return [part / (self.cpu_ns[after][when, "all"] - self.cpu_ns[before][other, "all"])
                for when, other in (("after", "before"), ("before", "after"))]

    def zone(self, name, domain, field="energy_joules"):
        measurement = "deepmon_zone_energy" if field == "energy_joules" else "deepmon_zone"
        return find(self.reports[name], measurement, domain=domain)[0].fields[field]


def boot(t, kernel, module):
    archive, log = t.state / "initramfs", t.state / "console"
    initramfs.write(archive, HERE / "energy_guest.sh",
                    [t.built("deepmon-execd"), find_program("busybox", "kernels", "busybox-static"), module])
    with open(log, "wb") as console:
        # Of an AMD CPU the zone core would be that of one core.
        machine = spawn([find_program("qemu-system-x86_64", "kernels", "qemu-system-x86"),
                         "-accel", "tcg,thread=single", "-cpu", "max,vendor=GenuineIntel", "-smp", "2",
                         "-m", "512", "-net", "none", "-nographic", "-no-reboot", "-kernel", kernel,
                         "-initrd", archive, "-append", f"console=ttyS0 quiet panic=-1 tsc=reliable cgroup_no_v1=all "
                         f"range_uj={RANGE_UJ}"],
                        stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            machine.wait(GUEST_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            stop_process(machine)
    return Told(log.read_text(errors="replace"))


def check_growth(t, told, domain, before, after):
    """The parts are what the zone gave, to the microjoule, and that is what the model used."""
    parts = told.grown(before, after, domain)
    sum_uj = sum(round(joules * 1e6) for joules in parts.values())
    zone_uj = round((told.zone(after, domain) - told.zone(before, domain)) * 1e6)
    t.equal(sum_uj, zone_uj, f"µJ of all parts of {domain}, against the zone's")
    model = [told.model[after][when, domain] - told.model[before][other, domain]
             for when, other in (("before", "after"), ("after", "before"))]
    t.note(f"{domain}, {before} to {after}: {sum_uj / 1e6:.3f} J; "
           f"the model's {model[0]:.3f} to {model[1]:.3f} J")
    t.between(sum_uj / 1e6, model[0], model[1], f"J of {domain} from {before} to {after}")
    return parts


def test_powercap(t, series):
    cache = t.build / "kernels"
    module = build_module(cache / series / "module", images.headers(cache, series))
    told = boot(t, images.fetch(cache, series), module)
    t.true(told.ended, "the guest came to its end", f"see {t.state / 'console'}")
    t.equal(told.status, "0", "deepmon-execd's status")
    for domain, idle in IDLE_WATTS.items():
        with t.apart():
            parts = check_growth(t, told, domain, "first", "worked")
            active = sum(parts.values()) - idle * told.seconds("first", "worked")
            least, most = (active * share for share in told.shares("first", "worked"))
            t.note(f"J of {domain} of the container: {parts['container']:.3f}; by the kernel's CPU time "
                   f"{least:.3f} to {most:.3f}")
            t.between(parts["container"], least * (1 - TOLERANCE), most * (1 + TOLERANCE),
                      f"J of {domain} of the container")
        # The first reading after it is back only tells where it stands.
        with t.apart():
            check_growth(t, told, domain, "again", "back")
    with t.apart():
        first, last = (told.model[name]["after", "package"] * 1e6 // RANGE_UJ for name in ("first", "worked"))
        t.true(last > first, "the model wrapped", last - first)
        t.between(told.zone("worked", "package", "wraps") - told.zone("first", "package", "wraps"),
                  last - first - 1, last - first + 1, "wraps of package-0")
        t.equal(told.zone("worked", "package", "anomalies"), 0, "anomalies of package-0")
    # It goes away between two samples: what it used in the last of them is lost, and none is made up for it.
    for domain in IDLE_WATTS:
        with t.apart():
            t.equal(find(told.reports["absent"], "deepmon_zone_energy", domain=domain), [],
                    "energy of a zone that is gone")
            lost = sum(told.grown("gone", "again", domain).values())
            t.between(lost, 0, told.model["again"]["after", domain], f"J of {domain} from gone to again")
    t.one_line(told.log, "energy is read from powercap: 3 counters")
    for zone in ("package-0", "package-0-core", "package-0-dram"):
        t.one_line(told.log, f"energy of {zone} is not measured for now")
        t.one_line(told.log, f"energy of {zone} is measured again")
