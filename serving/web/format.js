// How titles, times and numbers are written for a person.

const DATE = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const COUNT = new Intl.NumberFormat();

const parsed = (text) => {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? null : time;
};

export const date = (text) => (parsed(text) ? DATE.format(parsed(text)) : "");
export const when = (text) => (parsed(text) ? WHEN.format(parsed(text)) : "");
export const count = (number) => COUNT.format(number);
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
export const figure = (number) => (Number.isFinite(number) ? number.toFixed(number >= 10 ? 1 : 3) : "not measured");
/** Three digits that count: 4.2, 0.0123. */
export const short = (number) => String(Number(number.toPrecision(3)));
export const stars = (number) => `${Number(number)} of 5 stars`;

/** "Matrix, The (1999)" is how catalogues sort; "The Matrix" is how people say it. */
export function title(raw) {
  const text = String(raw ?? "").replace(/\s*\(\d{4}\)\s*$/, "").trim();
  const sorted = /^(.*), (The|A|An|Le|La|Les|L'|Der|Die|Das|El|Los|Las|Il)( \(.*\))?$/.exec(text);
  if (!sorted) return text || "Untitled";
  return `${sorted[2]}${sorted[2].endsWith("'") ? "" : " "}${sorted[1]}${sorted[3] ?? ""}`;
}

export const year = (item) => item.year ?? /\((\d{4})\)\s*$/.exec(item.title ?? "")?.[1] ?? null;
export const genres = (item) => (Array.isArray(item.genres) ? item.genres.filter((name) => name && !name.startsWith("(")) : []);

export const meta = (item, limit = 3) => [year(item), ...genres(item).slice(0, limit)].filter(Boolean).join(" · ");

export function span(from, to) {
  const [start, end] = [parsed(from), parsed(to)];
  if (!start || !end) return "";
  const ms = Math.max(0, end - start);
  if (ms < 1000) return `${ms} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

/** A viewer's name where there is one, else the external id, else the start of the internal one. */
export const viewerRef = (user) => user.external_ids?.map(refText)[0] ?? user.user_id;
export const viewerName = (user) => user.name || viewerRef(user);

const refText = (ref) => (typeof ref === "string" ? ref : `${ref.issuer}:${ref.value}`);
export const refs = (item) => (Array.isArray(item.external_ids) ? item.external_ids.map(refText) : []);
