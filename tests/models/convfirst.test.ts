import { describe, expect, it } from 'vitest';
import { elements, nodesOf, parametersOf } from '../../src/graph/graph.ts';
import { costOf, macsOf } from '../../src/graph/lower.ts';
import { convfirst } from '../../src/models/convfirst.ts';
import { buildModel } from '../../src/models/zoo.ts';

describe('ConvFirstNet', () => {
  // Table 3's caption figures at 256²: millions of parameters, GMAC.
  it.each([
    ['convfirst-pico', 5.91, 0.86],
    ['convfirst-nano', 10.17, 1.812],
    ['convfirst-tiny', 17.24, 3.227],
    ['convfirst-small', 28.55, 5.493],
  ])('%s has the published size', (name, millions, gmacs) => {
    const graph = buildModel(name);
    const parameters = parametersOf(graph)
      .filter(({ buffer }) => !buffer)
      .reduce((sum, { shape }) => sum + elements(shape), 0);
    expect(Number((parameters / 1e6).toFixed(2))).toBe(millions);
    expect(Math.abs(macsOf(graph) / 1e9 / gmacs - 1)).toBeLessThan(5e-4);
  });

  it('refuses channels that groups do not divide', () => {
    const config = { depths: [1, 1, 1, 1, 1], channels: [16, 12, 16, 16, 16, 16] };
    expect(() => convfirst(config)).toThrow('The channels of convfirst must be multiples of 8, got 12.');
    expect(() => convfirst({ ...config, channels: [16] })).toThrow('must be 6 values');
  });

  // The paper's tables of layers: millions of operations, two for each multiply-accumulate.
  it.each([
    ['stem', 14.16],
    ['stages.1.0', 88.08],
    ['stages.2.0', 88.08],
    ['stages.2.1', 119.54],
    ['stages.4.1', 86.05],
    ['stages.5.1', 21.56],
  ])('%s of Pico has the published operations', (block, megaoperations) => {
    const macs = nodesOf(buildModel('convfirst-pico'))
      .filter(({ name }) => name.startsWith(`${block}.`))
      .reduce((sum, node) => sum + costOf(node).macs, 0);
    expect(Number(((2 * macs) / 1e6).toFixed(2))).toBe(megaoperations);
  });

  it('has the published operations in all blocks of Pico together', () => {
    const macs = nodesOf(buildModel('convfirst-pico'))
      .filter(({ name }) => name.startsWith('stem.') || name.startsWith('stages.'))
      .reduce((sum, node) => sum + costOf(node).macs, 0);
    expect(Number(((2 * macs) / 1e6).toFixed(1))).toBe(1696.9);
  });
});
