/** The address that a string is: `https://…`, `data:…`, `file:…`; undefined for paths, and for addresses relative to a page. */
export function addressOf(text: string): URL | undefined {
  return /^(https?|blob|data|file):/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}

/** What to call a path or address in messages: data: addresses may be megabytes. */
export function shortName(place: string | URL): string {
  const name = String(place);
  return name.length <= 200 || !/^data:/i.test(name) ? name : `${name.slice(0, 60)}…`;
}
