#!/usr/bin/env bash
# systemd-cron 1.15.19 (Debian 12): "0 6 13 * 5".
#
# Expected: every 13th and every Friday, as its crontab(5) says.
#
# Seen: only a 13th that is a Friday. And 5-7 is every day.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download systemd-cron=1.15.19-5
dpkg -x systemd-cron_*.deb root
printf '0 6 13 * 5 root /bin/true\n0 6 * * 5-7 root /bin/true\n0 6 * * 7 root /bin/true\n' >days
mkdir out
cat >try.py <<'P'
import importlib.machinery
import importlib.util
import os
import pathlib
import sys

# The generator without its main(): it would read the machine's own crontabs.
loader = importlib.machinery.SourceFileLoader("generator", sys.argv[1])
generator = importlib.util.module_from_spec(importlib.util.spec_from_loader("generator", loader))
sys.argv = ["generator", "out"]
loader.exec_module(generator)
generator.TARGET_DIR, generator.TIMERS_DIR = "out", "out/timers"
os.mkdir("out/timers")
for number, job in enumerate(generator.parse_crontab("days", withuser=True)):
    print(job["l"].split(" root")[0], "days", job["d"], "weekdays", job["w"])
    generator.generate_timer_unit(job, seq=iter([number]))
    timers = [path.read_text() for path in pathlib.Path("out").glob(f"*-{number}.timer")]
    print("  ", next((line for text in timers for line in text.splitlines() if line.startswith("OnCalendar")), "no timer"))
P
timeout 30 /usr/bin/python3 try.py root/lib/systemd/system-generators/systemd-crontab-generator >seen 2>log || { sed -n 1,5p log >&2; cat seen; }
cat seen
if command -v systemd-analyze >/dev/null; then systemd-analyze calendar --iterations=3 --base-time='2026-11-01' 'Fri *-*-13 6:0:00' 2>/dev/null | grep -E 'elapse|Iter' || true; fi
grep -q 'OnCalendar=Fri \*-\*-13 6:0:00' seen && [ "$(grep -c 'OnCalendar' seen)" = 3 ] && grep -Eq '^ +OnCalendar= +\*-\*-\* 6:0:00' seen || { echo 'CHANGED: either day makes the day, or 5-7 is read' >&2; exit 1; }
echo 'as described: both days have to match, and 5-7 is every day'
