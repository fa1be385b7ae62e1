/** How are numbers shown to people? Pure; every function takes null for "not known" and shows a dash. */

const DASH = '–';

export function bytes(value: number | null | undefined): string {
  if (value == null) return DASH;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let size = value;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : 1;
  return `${size.toFixed(digits)} ${units[unit]}`;
}

export function count(value: number | null | undefined): string {
  return value == null ? DASH : Math.round(value).toLocaleString('en');
}

export function rate(value: number | null | undefined): string {
  if (value == null) return DASH;
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

/** 0.0421 -> "42 ms", 3.2 -> "3.2 s", 75 -> "1 min 15 s", 7300 -> "2 h 1 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return DASH;
  if (seconds < 0) return '0 s';
  if (seconds > 0 && seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days) return `${days} d${hours ? ` ${hours} h` : ''}`;
  if (hours) return `${hours} h${minutes ? ` ${minutes} min` : ''}`;
  return `${minutes} min${whole % 60 ? ` ${whole % 60} s` : ''}`;
}

/** How long something will take: 8.2 -> "about 8 s", 170 -> "about 3 min"; empty when not known or over soon. */
export function about(seconds: number | null | undefined): string {
  if (seconds == null || seconds < 1.5) return '';
  return seconds < 99.5 ? `about ${Math.round(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
}

/** A countdown that does not jump in width: 4:05, 1:02:09. */
export function countdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** 32768 -> "32k", 40960 -> "40k", 131072 -> "128k", 2000 -> "2,000". */
export function context(tokens: number | null | undefined): string {
  if (!tokens) return DASH;
  return tokens >= 1024 && tokens % 1024 === 0 ? `${tokens / 1024}k` : count(tokens);
}

export function clock(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return date.toLocaleTimeString('en-GB');
}

export function ago(unixSeconds: number, nowMs: number): string {
  const seconds = nowMs / 1000 - unixSeconds;
  return seconds < 5 ? 'now' : `${duration(Math.round(seconds))} ago`;
}

export function dateTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(unixSeconds)}`;
}

/** "1 model", "3 models". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter(Boolean).join(' and ');
}
