import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Where a Chromium is: `CHROMIUM`, or the first on the PATH. Tests in a browser are skipped where there is none, or
 * fail there if `WIDEFIELD_REQUIRE_BROWSER` is 1.
 */
export function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const paths = [process.env['CHROMIUM'], ...names.flatMap((name) => folders.map((f) => join(f, name)))];
  const found = paths.find((path) => path !== undefined && path !== '' && isExecutable(path));
  if (found === undefined && process.env['WIDEFIELD_REQUIRE_BROWSER'] === '1') {
    throw new Error('There is no Chromium on the PATH, but WIDEFIELD_REQUIRE_BROWSER=1: install it.');
  }
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
