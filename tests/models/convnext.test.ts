import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parametersOf } from '../../src/graph/graph.ts';
import { convnextTimmKey } from '../../src/models/convnext.ts';
import { buildModel } from '../../src/models/zoo.ts';

const fixtures = JSON.parse(
  gunzipSync(readFileSync(new URL('../fixtures/keys/keys.json.gz', import.meta.url))).toString(),
) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;

describe('ConvNeXt', () => {
  it("renames official keys to timm's", () => {
    const renames = Object.entries(fixtures['convnext_tiny-official-to-timm'] ?? {});
    expect(renames).toHaveLength(182);
    for (const [official, timm] of renames) expect(convnextTimmKey(official)).toBe(timm);
  });

  it('is the same network under either set of keys', () => {
    const official = parametersOf(buildModel('convnext-small'));
    const timm = parametersOf(buildModel('convnext-small', { keys: 'timm' }));
    expect(timm).toEqual(
      official.map((parameter) => ({ ...parameter, key: convnextTimmKey(parameter.key) })),
    );
  });
});
