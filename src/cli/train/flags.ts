import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import { WidefieldError } from '../../core/errors.ts';
import type { Schema } from '../../core/schema.ts';
import { configSchema, isRecord } from './config.ts';
import type { RawConfig } from './config.ts';

/** What stands for null on the way through Commander, which makes something else of that. */
const NONE = Symbol('none');

/** One option of the command line: a member of the config. */
interface Flag {
  readonly path: readonly string[];
  /** Without dashes: `optimizer-weight-decay`. */
  readonly name: string;
  readonly schema: Schema<unknown>;
}

/**
 * A flag for every member of the config. Members of objects have the object's name before theirs, but for one of the
 * same name: `--sparsity 0.4`, `--sparsity-scope all`.
 */
function flags(config: Schema<unknown>): Flag[] {
  return Object.entries(config.fields ?? {}).flatMap(([name, schema]): Flag[] =>
    schema.fields === undefined
      ? [{ path: [name], name: dashed(name), schema }]
      : Object.entries(schema.fields).map(([inner, member]) => ({
          path: [name, inner],
          name: inner === name ? dashed(name) : `${dashed(name)}-${dashed(inner)}`,
          schema: member,
        })),
  );
}

/** Adds all flags to a command, with help texts from the table: those of `widefield train`, or of another config. */
export function withConfigFlags(command: Command, config: Schema<unknown> = configSchema()): Command {
  for (const { name, schema, path } of flags(config)) {
    const isFlag = schema.json.type === 'boolean';
    const option = new Option(
      `--${name} ${isFlag ? '[true|false]' : `<${placeholder(schema)}>`}`,
      describe(schema),
    );
    option.argParser((text: string) => parse(text, schema, path.join('.')));
    command.addOption(option);
  }
  return command;
}

/** The config that flags alone make. */
export function configOfFlags(
  options: Readonly<Record<string, unknown>>,
  config: Schema<unknown> = configSchema(),
): RawConfig {
  let result: RawConfig = {};
  for (const { name, path } of flags(config)) {
    const value = options[camel(name)];
    if (value === undefined) continue;
    // `--sparsity none` takes all of it away.
    const place = value === NONE && path[0] === path[1] ? path.slice(1) : path;
    result = merge(result, nest(place, value === NONE ? null : value));
  }
  return result;
}

/** The first config with what the second one says instead. Objects are merged, but for those of another kind. */
export function merge(base: RawConfig, over: RawConfig): RawConfig {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const before = result[name];
    const merges = isRecord(before) && isRecord(value) && !('kind' in value) && !('family' in value);
    result[name] = merges ? merge(before, value) : value;
  }
  return result;
}

function nest(path: readonly string[], value: unknown): RawConfig {
  return path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as RawConfig;
}

/** Numbers, lists such as `1,2,3`, JSON, or text. `none` takes away what a file says. */
function parse(text: string, schema: Schema<unknown>, path: string): unknown {
  if (text === 'none' && !('needed' in schema)) return NONE;
  const value = valueOf(text, schema);
  try {
    schema.read(value, path);
  } catch (error) {
    if (!(error instanceof WidefieldError)) throw error;
    throw new InvalidArgumentError(error.message);
  }
  return value;
}

function valueOf(text: string, schema: Schema<unknown>): unknown {
  const trimmed = text.trim();
  if (schema.json.type === 'string') return text;
  if (schema.json.type === 'array' && !trimmed.startsWith('[')) return trimmed.split(',').map(scalar);
  return /^[[{]/.test(trimmed) ? (json(trimmed) ?? text) : scalar(trimmed);
}

function scalar(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  const value = Number(text);
  return text.trim() !== '' && Number.isFinite(value) ? value : text.trim();
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function placeholder({ json: { type, enum: values } }: Schema<unknown>): string {
  if (Array.isArray(values)) return 'name';
  switch (type) {
    case 'integer':
      return 'count';
    case 'number':
      return 'number';
    case 'string':
      return 'text';
    case 'array':
      return 'list';
    default:
      return 'value';
  }
}

function describe({ json: { description, default: fallback, enum: values } }: Schema<unknown>): string {
  const listed = Array.isArray(values) ? ` (${values.join(', ')})` : '';
  const standard =
    fallback === undefined || isRecord(fallback) ? '' : `; default ${JSON.stringify(fallback)}`;
  return `${typeof description === 'string' ? description : ''}${listed}${standard}`;
}

function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** As Commander calls an option. */
function camel(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
