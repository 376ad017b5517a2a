#!/usr/bin/env bash
# dragonmantank/cron-expression 3.3.1 (PHP, Debian 12): 22-2, and */90.
#
# Expected: isValidExpression is false for what is never due, or it is due.
#
# Seen: both are valid. 22-2 is never due: the list of its dates is empty, without an exception. */90 is minute 30.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download php-dragonmantank-cron-expression=3.3.1-2 php-webmozart-assert
for package in *.deb; do dpkg -x "$package" root; done
cat >try.php <<'PHP'
<?php
set_include_path(getcwd() . '/root/usr/share/php');
require 'Cron/autoload.php';
use Cron\CronExpression;

/** The next times, or why there are none. */
function times(string $line): string
{
    if (!CronExpression::isValidExpression($line)) {
        return 'invalid';
    }
    $dates = @(new CronExpression($line))->getMultipleRunDates(2, new DateTime('2026-11-01 00:00', new DateTimeZone('UTC')), false, false, 'UTC');
    return $dates ? implode(', ', array_map(fn ($date) => $date->format('m-d H:i'), $dates)) : 'valid, and never due';
}

$described = [
    '0 22-2 * * *' => 'valid, and never due',
    '0 0 * * 5-1' => 'valid, and never due',
    '0 0 * * sun-tue' => 'valid, and never due',
    '*/90 * * * *' => '11-01 00:30, 11-01 01:30',
    '0 0 * * 1-5' => '11-02 00:00, 11-03 00:00',
    '60 * * * *' => 'invalid',
    '5/15 * * * *' => 'invalid',
];
$same = true;
foreach ($described as $line => $seen) {
    $got = times($line);
    printf("%-16s %s\n", $line, $got);
    $same = $same && $got === $seen;
}
exit($same ? 0 : 1);
PHP
timeout 60 php8.2 -d error_reporting=0 try.php || { echo 'CHANGED: such lines are invalid, or come' >&2; exit 1; }
echo 'as described: they are valid, and never come, or at another minute'
