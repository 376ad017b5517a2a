#!/usr/bin/env bash
# APScheduler 3.9.1 (Debian 12): CronTrigger.from_crontab, and the numbers of weekdays.
#
# Expected: its docstring speaks of a standard crontab expression, so 1 is Monday, and 0 and 7 are Sunday. A line with
# both day fields is due when one of them matches.
#
# Seen: 0 is Monday and 6 Sunday, and 7 is an error: "0 0 * * 1" runs on Tuesdays. Both day fields have to match.
# Names of days (mon) are right, but not a range over Sunday.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-apscheduler=3.9.1-2 python3-tz python3-tzlocal python3-pytz-deprecation-shim python3-six python3-pkg-resources
for package in *.deb; do dpkg -x "$package" root; done
export PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import datetime
import sys

from apscheduler.triggers.cron import CronTrigger

START = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
SEEN = {
    "0 0 * * 0": "Mon 2026-11-02",
    "0 0 * * 1": "Tue 2026-11-03",
    "0 0 * * 6": "Sun 2026-11-01",
    "0 0 * * mon": "Mon 2026-11-02",
    "0 0 13 * 5": "Sat 2027-02-13",
    "0 0 * * 7": "ValueError",
    "0 0 * * sun-tue": "ValueError",
}
same = True
for line, seen in SEEN.items():
    try:
        got = CronTrigger.from_crontab(line, timezone="UTC").get_next_fire_time(None, START).strftime("%a %Y-%m-%d")
    except ValueError:
        got = "ValueError"
    print(f"{line:16} {got}")
    same = same and got == seen
sys.exit(0 if same else 1)
P
timeout 60 /usr/bin/python3 try.py || { echo 'CHANGED: from_crontab counts weekdays as crontab(5) does' >&2; exit 1; }
echo 'as described: 1 is Tuesday'
