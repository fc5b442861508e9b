import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { candidates } from '../../src/kernels/index.ts';
import { encode } from '../../src/kernels/signature.ts';
import { chooseCandidate } from '../../src/runtime/planner.ts';
import { formatTuning, parseTuning, recordKey } from '../../src/runtime/tuning-file.ts';
import type { TuningRecord } from '../../src/runtime/tuning-file.ts';
import { interpreterCaps } from '../support/kernel-harness.ts';
import { product } from '../support/small-problems.ts';

const caps = interpreterCaps([8, 4]);
const all = candidates(product, caps);

function record(changes: Partial<TuningRecord> = {}): TuningRecord {
  const worst = all.at(-1);
  if (worst === undefined) throw new Error('no candidates');
  const { family, config } = worst;
  return { machine: caps.fingerprint, problem: encode(product), family, config, medianMs: 1.5, ...changes };
}

function records(...list: TuningRecord[]): Map<string, TuningRecord> {
  return new Map(list.map((one) => [recordKey(one.machine, one.problem), one]));
}

describe('tuning files', () => {
  test('keep what is written to them', () => {
    const config = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.oneof(fc.integer(), fc.string(), fc.boolean()),
      { noNullPrototype: true },
    );
    const one = fc.record({
      machine: fc.string(),
      problem: fc.string(),
      family: fc.string(),
      config,
      medianMs: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e6 }).map((ms) => ms + 0),
    });
    fc.assert(
      fc.property(fc.array(one), (list) => {
        const written = records(...list);
        expect(parseTuning(formatTuning(written))).toEqual(written);
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['not JSON', '{"format": '],
    ['an array', '[]'],
    ['null', 'null'],
    ['another format', '{"format":"widefield-tuning-0","records":[]}'],
    ['no records', '{"format":"widefield-tuning-1"}'],
    ['records that are no list', '{"format":"widefield-tuning-1","records":{}}'],
    ['a format from a prototype', '{"__proto__":{"format":"widefield-tuning-1","records":[]}}'],
    ['far too long', ' '.repeat(2 ** 26 + 1)],
  ])('are refused if they hold %s', (_, text) => {
    expect(() => parseTuning(text)).toThrow('This is not a tuning file: delete it, and tune again.');
  });

  test('lose records that make no sense, and nothing else', () => {
    const good = record();
    const bad: unknown[] = [
      null,
      1,
      [],
      {},
      { ...good, machine: 1 },
      { ...good, medianMs: '1' },
      { ...good, config: null },
      { ...good, config: [1] },
      { ...good, config: { lanes: { valueOf: 4 } } },
    ];
    const text = JSON.stringify({ format: 'widefield-tuning-1', records: [...bad, good] });
    expect([...parseTuning(text).values()]).toEqual([good]);
  });

  test('cannot reach prototypes', () => {
    const entry = `{"machine":"__proto__","problem":"constructor","family":"f","config":{"__proto__":1},"medianMs":1,"__proto__":{"polluted":1}}`;
    parseTuning(`{"format":"widefield-tuning-1","records":[${entry}]}`);
    expect('polluted' in {}).toBe(false);
  });
});

describe('the planner', () => {
  test('takes the lowest estimate without measurements', () => {
    expect(chooseCandidate(product, caps).config).toEqual(all[0]?.config);
  });

  test('prefers the measured winner, also after a round trip through a file', () => {
    const winner = record();
    expect(winner.config).not.toEqual(all[0]?.config);
    const tuning = parseTuning(formatTuning(records(winner)));
    expect(chooseCandidate(product, caps, tuning).config).toEqual(winner.config);
  });

  test.each([
    ['an unknown family', record({ family: 'constructor' })],
    ['an unknown configuration', record({ config: { ...record().config, lanes: 3 } })],
    ['a configuration with more in it', record({ config: { ...record().config, more: 1 } })],
    ['an empty configuration', record({ config: {} })],
    ['another machine', record({ machine: 'another' })],
    ['another problem', record({ problem: encode({ ...product, rows: product.rows + 1 }) })],
  ])('ignores a record of %s', (_, one) => {
    expect(chooseCandidate(product, caps, records(one)).config).toEqual(all[0]?.config);
  });

  test('says when no kernel fits', () => {
    expect(() => chooseCandidate({ ...product, outputPitch: 33 }, caps)).toThrow('No kernel on interpreter');
  });
});
