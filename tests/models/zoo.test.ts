import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { elements, parametersOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { macsOf } from '../../src/graph/lower.ts';
import type { KeySet } from '../../src/models/model.ts';
import { buildModel, findModel, modelNames, variants } from '../../src/models/zoo.ts';
import sizes from '../fixtures/model-sizes.json' with { type: 'json' };

type StateDict = Readonly<Record<string, readonly number[]>>;
const stateDicts = JSON.parse(
  gunzipSync(readFileSync(new URL('../fixtures/keys/keys.json.gz', import.meta.url))).toString(),
) as Readonly<Record<string, StateDict>>;

function build({ model, keys, merged, resolution }: (typeof sizes)[number], at = resolution): Graph {
  return buildModel(model, { keys: keys as KeySet, deploy: merged, resolution: at });
}

function countParameters(graph: Graph): number {
  return parametersOf(graph)
    .filter(({ buffer }) => !buffer)
    .reduce((sum, { shape }) => sum + elements(shape), 0);
}

describe('networks against the official implementations', () => {
  it.each(sizes)('$golden at $resolution: state dict, parameters and multiply-accumulates', (row) => {
    const graph = build(row);
    const ours = Object.fromEntries(parametersOf(graph).map(({ key, shape }) => [key, shape]));
    expect(ours).toEqual(stateDicts[row.golden]);
    expect(countParameters(graph)).toBe(row.params);
    expect(macsOf(graph)).toBe(row.macs);
  });

  it('tells buffers from parameters', () => {
    const buffers = parametersOf(buildModel('replknet-31b')).filter(({ buffer }) => buffer);
    const kinds = new Set(buffers.map(({ key }) => key.split('.').at(-1)));
    expect(kinds).toEqual(new Set(['running_mean', 'running_var', 'num_batches_tracked']));
  });

  // torchvision's documentation, and ConvNeXt's paper: parameters, and GMAC at the variant's resolution, all digits.
  it.each([
    ['efficientnet-b1', 7_794_184, '0.69'],
    ['efficientnet-b2', 9_109_994, '1.09'],
    ['efficientnet-b4', 19_341_616, '4.39'],
    ['convnext-large', 197_767_336, '34.4'],
  ])('%s has the published size', (name, parameters, gmacs) => {
    const graph = buildModel(name);
    expect(countParameters(graph)).toBe(parameters);
    expect((macsOf(graph) / 1e9).toFixed(gmacs.split('.')[1]?.length)).toBe(gmacs);
  });
});

describe('zoo', () => {
  it('has the names of the command line', () => {
    expect(modelNames()).toEqual([
      ...['3b', '7b', '13b', '25b', '31b', '31l', 'xl'].map((size) => `replknet-${size}`),
      ...['tiny', 'small', 'base'].map((size) => `slak-${size}`),
      ...['femto', 'pico', 'nano', 'tiny', 'small', 'base', 'large'].map((size) => `convnext-${size}`),
      ...['pico', 'nano', 'tiny', 'small'].map((size) => `convfirst-${size}`),
      ...['resnet-50', 'resnet-101', 'mobilenet-v2'],
      ...['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'v2-s'].map((size) => `efficientnet-${size}`),
    ]);
  });

  it('names what is meant when a name is wrong', () => {
    expect(() => findModel('replknet31B')).toThrow('no model "replknet31B": did you mean replknet-31b?');
    expect(() => findModel('convnext_tinny')).toThrow('did you mean convnext-tiny?');
    expect(() => buildModel('resnet-5')).toThrow('did you mean resnet-50?');
  });

  it('builds every network with its default options', () => {
    for (const { name, title, resolution, stride, paper } of variants) {
      const graph = buildModel(name);
      expect(graph.name).toBe(name);
      expect(graph.input.shape).toEqual([1, resolution, resolution, 3]);
      expect(graph.outputs.get('logits')?.shape).toEqual([1, 1, 1, 1000]);
      expect(stride).toBe(32);
      expect(title.length * paper.url.length).toBeGreaterThan(0);
    }
  });
});
