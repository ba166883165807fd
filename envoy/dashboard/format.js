// Numbers as people read them. What is unknown is a dash.

const UNKNOWN = "–";

const known = (format) => (value) => (value === undefined || value === null ? UNKNOWN : format(value));

const digits = (value) => value.toLocaleString("en", { maximumSignificantDigits: 3 });

export const count = known((value) => Math.round(value).toLocaleString("en"));
export const perSecond = known((value) => `${digits(value)}/s`);
export const percent = known((value) => `${digits(value)} %`);
export const milliseconds = known((value) => (value < 1000 ? `${digits(value)} ms` : `${digits(value / 1000)} s`));

export const duration = known((seconds) => {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
});
