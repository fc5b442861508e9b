import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { parseHTML } from 'linkedom';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { exhibitPlans } from '../../../src/lab/reproduce/index.ts';
import { widefield } from '../../support/command-line.ts';

interface ExhibitJson {
  readonly id: string;
  readonly title: string;
  readonly source: string;
  readonly notes: readonly string[];
  readonly comparisons: readonly {
    readonly name: string;
    readonly unit: string;
    readonly published: number;
    readonly computed: number;
    readonly difference: number;
    readonly allowed: number;
    readonly agrees: boolean;
  }[];
  readonly data: unknown;
}

let parent = '';
let folder = '';
const ids = exhibitPlans().map(({ id }) => id);

beforeAll(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'widefield-reproduce-'));
  folder = path.join(parent, 'report');
});

afterAll(async () => {
  await rm(parent, { recursive: true });
});

describe('widefield lab reproduce', () => {
  it('writes every exhibit three times, a report, and nothing beside the folder', async () => {
    const { code, out, err } = await widefield('lab', 'reproduce', '--out', folder, '--json');
    expect({ code, err: err.trim().split('\n').length }).toEqual({ code: 0, err: 1 });
    const summary = JSON.parse(out) as { compared: number; agreeing: number; misses: readonly unknown[] };
    expect(summary.agreeing + summary.misses.length).toBe(summary.compared);
    expect(summary.compared).toBeGreaterThan(150);
    expect(await readdir(parent)).toEqual(['report']);
    const files = ids.flatMap((id) => [`${id}.svg`, `${id}.png`, `${id}.json`]);
    expect((await readdir(folder)).sort()).toEqual([...files, 'index.html', 'manifest.json'].sort());
  });

  it.each(ids)('%s: picture and record are whole', async (id) => {
    const svg = await readFile(path.join(folder, `${id}.svg`), 'utf8');
    expect(svg).not.toMatch(/NaN|undefined|Infinity|\[object/);
    const { document } = parseHTML(svg);
    expect(document.querySelectorAll('text').length).toBeGreaterThan(5);
    const width = Number(document.querySelector('svg')?.getAttribute('width'));
    expect((await sharp(path.join(folder, `${id}.png`)).metadata()).width).toBe(Math.round(2 * width));
    const text = await readFile(path.join(folder, `${id}.json`), 'utf8');
    // What is not a finite number becomes null.
    expect(text).not.toContain('null');
    const record = JSON.parse(text) as ExhibitJson;
    expect(record.id).toBe(id);
    expect([record.title, record.source].every((each) => each.length > 0)).toBe(true);
    expect(record.data).toBeDefined();
    for (const { published, computed, difference, allowed, agrees } of record.comparisons) {
      expect(difference).toBeCloseTo(computed / published - 1, 12);
      expect(agrees).toBe(Math.abs(computed - published) <= allowed);
    }
  });

  it('reports every comparison, differences signed and marked', async () => {
    const page = await readFile(path.join(folder, 'index.html'), 'utf8');
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(
      /https?:|<script|<link|@import|NaN/,
    );
    const { document } = parseHTML(page);
    expect(document.querySelectorAll('figure > svg')).toHaveLength(ids.length);
    for (const id of ids) expect(document.getElementById(id)).not.toBeNull();
    const marked = Array.from(document.querySelectorAll('td.bad')).map((cell) => cell.textContent);
    expect(marked).toContain('−5.16%');
    expect(marked).toContain('differs');
    const all = Array.from(document.querySelectorAll('[id]')).map((element) => element.id);
    expect(new Set(all).size).toBe(all.length);
  });

  it('replaces a folder that it made, and no other', async () => {
    await writeFile(path.join(folder, 'slak-sizes.json'), 'old');
    expect((await widefield('lab', 'reproduce', '--out', folder)).code).toBe(0);
    expect(await readFile(path.join(folder, 'slak-sizes.json'), 'utf8')).not.toBe('old');

    await writeFile(path.join(folder, 'mine.txt'), 'mine');
    const kept = await widefield('lab', 'reproduce', '--out', folder);
    expect(kept).toMatchObject({ code: 1, out: '' });
    expect(kept.err).toContain('has mine.txt in it');

    const other = path.join(parent, 'other');
    await mkdir(other);
    await writeFile(path.join(other, 'thesis.txt'), 'mine');
    const refused = await widefield('lab', 'reproduce', '--out', other);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain('was not made by widefield lab reproduce: name another one, or remove it.');
    expect(await readdir(other)).toEqual(['thesis.txt']);
    expect((await readdir(parent)).sort()).toEqual(['other', 'report']);
  });
});
