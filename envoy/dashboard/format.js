// Formats numbers and lists for people. A dash stands for an unknown value.

const UNKNOWN = "–";

// Created once: creating a formatter takes longer than using it.
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const DIGITS = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

const known = (format) => (value) => (value === undefined || value === null ? UNKNOWN : format(value));

const digits = (value) => DIGITS.format(value);

export const count = known((value) => WHOLE.format(value));
export const yesOrNo = known((value) => (value > 0 ? "yes" : "no"));
// The name of a gauge's value: 0 is the first.
export const oneOf = (names) => known((value) => names[value] ?? UNKNOWN);
export const perSecond = known((value) => `${digits(value)}/s`);
export const percent = known((value) => `${digits(value)} %`);
export const milliseconds = known((value) => (value < 1000 ? `${digits(value)} ms` : `${digits(value / 1000)} s`));

export const duration = known((seconds) => {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
});

// "1 circuit is open", "1,024 circuits are open".
export function counted(amount, one, many) {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

// The first few of a list of names, and the number of the others.
export function someOf(names, most = 4) {
  const rest = names.length - most;
  return rest > 0 ? `${names.slice(0, most).join(", ")} and ${count(rest)} more` : names.join(", ");
}
