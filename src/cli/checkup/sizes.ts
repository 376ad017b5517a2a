const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes rounded down, in the configuration's form: 8356810752 → `7969MiB`, 900 → `900`. */
export function approximately(bytes: number): string {
  let value = Math.floor(bytes);
  let shown = String(value);
  for (const unit of UNITS) {
    // The next unit would leave too few digits.
    if (value < 10 * 1024) break;
    value = Math.floor(value / 1024);
    shown = `${value}${unit}`;
  }
  return shown;
}
