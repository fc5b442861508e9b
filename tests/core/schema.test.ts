import { describe, expect, it } from 'vitest';

import {
  choice,
  count,
  either,
  flag,
  list,
  needed,
  number,
  object,
  pair,
  tagged,
  text,
  withDefault,
} from '../../src/core/schema.ts';

const schema = object('a thing', {
  name: needed(text('what it is called')),
  size: withDefault(count('how large'), 3),
  share: number('how much of it', { least: 0, below: 1 }),
  colour: choice('which', ['red', 'green']),
  range: pair('from, to', number('')),
  sizes: list('several', count('')),
  on: flag('whether'),
  shape: tagged('which form', 'kind', { round: { radius: withDefault(number(''), 1) }, square: {} }),
  either: either('one or the other', count(''), text('')),
  inner: withDefault(object('', { depth: withDefault(count(''), 2) }), {}),
});

describe('reading', () => {
  it('fills defaults in, also within, and leaves out what is absent or null', () => {
    expect(schema.read({ name: 'x', share: null, size: null }, '')).toEqual({
      name: 'x',
      size: 3,
      inner: { depth: 2 },
    });
  });

  it('gives the same for members in any order', () => {
    const one = schema.read({ name: 'x', size: 1, shape: { kind: 'round' } }, '');
    const other = schema.read({ shape: { radius: 1, kind: 'round' }, size: 1, name: 'x' }, '');
    expect(JSON.stringify(one)).toBe(JSON.stringify(other));
  });

  it('takes each of several kinds', () => {
    expect(schema.read({ name: 'x', either: 4 }, '').either).toBe(4);
    expect(schema.read({ name: 'x', either: 'four' }, '').either).toBe('four');
    expect(schema.read({ name: 'x', shape: { kind: 'square' } }, '').shape).toEqual({ kind: 'square' });
  });

  it.each([
    [{}, 'name is missing: it must be a text that is not empty.'],
    [{ name: '' }, 'name must be a text that is not empty, got "".'],
    [{ name: 'x', sise: 1 }, 'There is no sise: did you mean size?'],
    [
      { name: 'x', sizes: [] },
      'sizes must be a list of at least 1 value, each a whole number from 1 on, got [].',
    ],
    [{ name: 'x', size: 0 }, 'size must be a whole number from 1 on, got 0.'],
    [{ name: 'x', size: '3' }, 'size must be a whole number from 1 on, got "3".'],
    [{ name: 'x', share: 1 }, 'share must be a number from 0 to below 1, got 1.'],
    [{ name: 'x', colour: 'blue' }, 'colour must be red or green, got "blue".'],
    [{ name: 'x', range: [1] }, 'range must be a list of 2 values, each a number, got [1].'],
    [{ name: 'x', sizes: [1, 'a'] }, 'sizes[1] must be a whole number from 1 on, got "a".'],
    [{ name: 'x', on: 1 }, 'on must be true or false, got 1.'],
    [{ name: 'x', shape: { kind: 'oval' } }, 'shape.kind must be round or square, got "oval".'],
    [
      { name: 'x', shape: { kind: 'square', radius: 1 } },
      'There is no shape.radius: did you mean shape.kind?',
    ],
    [
      { name: 'x', either: true },
      'either must be a whole number from 1 on, or a text that is not empty, got true.',
    ],
    [{ name: 'x', inner: [] }, 'inner must be an object, got [].'],
    [JSON.parse('{"name":"x","__proto__":{}}'), 'There is no __proto__'],
    [[], 'The value must be an object, got [].'],
  ])('refuses %j', (value: unknown, message) => {
    expect(() => schema.read(value, '')).toThrow(message);
  });
});

it('shows what JSON does not have, and of long names and values the beginning', () => {
  const circle: unknown[] = [];
  circle.push(circle);
  const shown: readonly (readonly [unknown, string])[] = [
    [NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [1n, '1n'],
    [circle, 'what JSON cannot say'],
    ['s'.repeat(1000), `"${'s'.repeat(56)}…`],
  ];
  for (const [size, text] of shown) {
    expect(() => schema.read({ name: 'x', size }, '')).toThrow(`from 1 on, got ${text}.`);
  }
  const unknown = { name: 'x', ['s'.repeat(1e6)]: 1 };
  expect(() => schema.read(unknown, '')).toThrow(/^There is no s{57}…: did you mean /);
});

it('is a JSON Schema with types, ranges, defaults and help', () => {
  expect(schema.json).toMatchObject({
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: {
      name: { type: 'string', minLength: 1 },
      size: {
        default: 3,
        anyOf: [
          { type: 'integer', minimum: 1, description: 'how large' },
          { type: 'null', description: 'the default' },
        ],
      },
      share: { anyOf: [{ type: 'number', minimum: 0, exclusiveMaximum: 1 }, { type: 'null' }] },
    },
  });
});
