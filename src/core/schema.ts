import { invalidArgument, shortened } from './errors.ts';
import { nearestNames } from './nearest.ts';

/** A JSON Schema, as far as it is used here. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * What values from files and command lines may be: one table for checks, defaults, help texts and JSON Schema.
 * Made by the functions below.
 */
export interface Schema<T> {
  readonly json: JsonSchema;
  /** In words, for errors: `a whole number from 1 on`. */
  readonly wanted: string;
  /** The members of an object. */
  readonly fields?: Fields;
  /** What others call it: names that are refused, with the right one. */
  readonly aliases?: readonly string[];
  /** Whether a value is of this kind at all, whatever else may be wrong with it. */
  accepts(value: unknown): boolean;
  /**
   * The value with defaults filled in, members in the order of the schema.
   *
   * @param path where the value stands: `optimizer.weightDecay`
   * Throws `invalid-argument` naming the path and what is wanted.
   */
  read(value: unknown, path: string): T;
}

/** A schema of a member that may be left out. */
export interface Defaulted<T> extends Schema<T> {
  readonly fallback: unknown;
}

/** A schema of a member that must be there. */
export interface Needed<T> extends Schema<T> {
  readonly needed: true;
}

/** What an object's members may be; those that are not needed may be absent, or null. */
export type Fields = Readonly<Record<string, Schema<unknown>>>;

type Certain = Defaulted<unknown> | Needed<unknown>;

/** The type of the values that a schema reads. */
export type Read<S> = S extends Schema<infer T> ? T : never;

export type ReadFields<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Certain ? K : never]: Read<F[K]>;
} & { readonly [K in keyof F as F[K] extends Certain ? never : K]?: Read<F[K]> };

export interface NumberLimits {
  readonly least?: number;
  readonly most?: number;
  /** Greater than, and less than. */
  readonly above?: number;
  readonly below?: number;
  readonly whole?: boolean;
}

export function number(help: string, limits: NumberLimits = {}): Schema<number> {
  const { least, most, above, below, whole = false } = limits;
  const parts = [
    whole ? 'a whole number' : 'a number',
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(least === undefined
      ? []
      : [`from ${least}${most === undefined && below === undefined ? ' on' : ''}`]),
    ...(most === undefined ? [] : [least === undefined ? `up to ${most}` : `to ${most}`]),
    ...(below === undefined ? [] : [least === undefined ? `below ${below}` : `to below ${below}`]),
  ];
  const good = (value: unknown): value is number =>
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (!whole || Number.isSafeInteger(value)) &&
    value >= (least ?? -Infinity) &&
    value <= (most ?? Infinity) &&
    value > (above ?? -Infinity) &&
    value < (below ?? Infinity);
  const json = {
    type: whole ? 'integer' : 'number',
    description: help,
    ...(least !== undefined && { minimum: least }),
    ...(most !== undefined && { maximum: most }),
    ...(above !== undefined && { exclusiveMinimum: above }),
    ...(below !== undefined && { exclusiveMaximum: below }),
  };
  return simple(json, parts.join(' '), (value) => typeof value === 'number', good);
}

/** A whole number. */
export function count(help: string, least = 1, most?: number): Schema<number> {
  return number(help, { whole: true, least, ...(most !== undefined && { most }) });
}

export function text(help: string): Schema<string> {
  const good = (value: unknown): value is string => typeof value === 'string' && value !== '';
  return simple(
    { type: 'string', minLength: 1, description: help },
    'a text that is not empty',
    isText,
    good,
  );
}

export function flag(help: string): Schema<boolean> {
  const good = (value: unknown): value is boolean => typeof value === 'boolean';
  return simple({ type: 'boolean', description: help }, 'true or false', good, good);
}

export function choice<const T extends string | number>(help: string, values: readonly T[]): Schema<T> {
  const good = (value: unknown): value is T => values.some((one) => one === value);
  const kind = typeof values[0];
  return simple(
    { enum: values, description: help },
    listOf(values.map(String)),
    (value) => typeof value === kind,
    good,
  );
}

export function list<T>(
  help: string,
  item: Schema<T>,
  { length, least = 1 }: { readonly length?: number; readonly least?: number } = {},
): Schema<readonly T[]> {
  const size = length ?? least;
  const many = `${length === undefined ? 'at least ' : ''}${size} ${size === 1 ? 'value' : 'values'}`;
  const wanted = `a list of ${many}, each ${item.wanted}`;
  return {
    json: {
      ...{ type: 'array', items: item.json, minItems: size, description: help },
      ...(length !== undefined && { maxItems: length }),
    },
    wanted,
    accepts: (value) => Array.isArray(value),
    read(value, path) {
      if (!Array.isArray(value) || value.length < size || (length !== undefined && value.length > length)) {
        throw unfit(path, wanted, value);
      }
      return value.map((one, i) => item.read(one, `${path}[${i}]`));
    },
  };
}

/** A list of two. */
export function pair<T>(help: string, item: Schema<T>): Schema<readonly [T, T]> {
  const schema = list(help, item, { length: 2 });
  return {
    ...schema,
    read(value, path) {
      const [first, second] = schema.read(value, path) as readonly [T, T];
      return [first, second];
    },
  };
}

/** An object of known members; others are refused, with the nearest name. */
export function object<F extends Fields>(help: string, fields: F): Schema<ReadFields<F>> {
  const needed = Object.keys(fields).filter((name) => isNeeded(fields[name]));
  return {
    json: {
      ...{ type: 'object', description: help, additionalProperties: false },
      properties: Object.fromEntries(
        Object.entries(fields).map(([name, field]) => [name, memberJson(field)]),
      ),
      ...(needed.length > 0 && { required: needed }),
    },
    wanted: 'an object',
    fields,
    accepts: isObject,
    read: (value, path) => readFields(fields, value, path),
  };
}

/** One of several kinds of objects, told by the member `tag`. */
export function tagged<K extends string, V extends Readonly<Record<string, Fields>>>(
  help: string,
  tag: K,
  kinds: V,
): Schema<{ [N in keyof V & string]: Readonly<Record<K, N>> & ReadFields<V[N]> }[keyof V & string]> {
  type Result = { [N in keyof V & string]: Readonly<Record<K, N>> & ReadFields<V[N]> }[keyof V & string];
  const names = Object.keys(kinds);
  const named = (name: string): Fields => ({ [tag]: needed(choice('', [name])), ...kinds[name] });
  return {
    json: { description: help, oneOf: names.map((name) => object('', named(name)).json) },
    wanted: `an object with the ${tag} ${listOf(names)}`,
    accepts: isObject,
    read(value, path) {
      if (!isObject(value)) throw unfit(path, `an object with the ${tag} ${listOf(names)}`, value);
      const name = choice('', names).read(value[tag], join(path, tag));
      return readFields(named(name), value, path) as Result;
    },
  };
}

/** The first of several schemas that accepts a value. */
export function either<S extends readonly Schema<unknown>[]>(
  help: string,
  ...schemas: S
): Schema<Read<S[number]>> {
  const wanted = schemas.map((schema) => schema.wanted).join(', or ');
  return {
    json: { description: help, anyOf: schemas.map(({ json }) => json) },
    wanted,
    accepts: (value) => schemas.some((schema) => schema.accepts(value)),
    read(value, path) {
      const found = schemas.find((schema) => schema.accepts(value));
      if (found === undefined) throw unfit(path, wanted, value);
      return found.read(value, path) as Read<S[number]>;
    },
  };
}

/** A member with a value where none is given. */
export function withDefault<T>(schema: Schema<T>, fallback: unknown): Defaulted<T> {
  return { ...schema, json: { ...schema.json, default: fallback }, fallback };
}

/** A member that others know by other names. */
export function alsoCalled<T>(schema: Schema<T>, ...aliases: readonly string[]): Schema<T> {
  return { ...schema, aliases };
}

/** A member that must be given. */
export function needed<T>(schema: Schema<T>): Needed<T> {
  return { ...schema, needed: true };
}

function simple<T>(
  json: JsonSchema,
  wanted: string,
  accepts: (value: unknown) => boolean,
  good: (value: unknown) => value is T,
): Schema<T> {
  return {
    json,
    wanted,
    accepts,
    read(value, path) {
      if (good(value)) return value;
      throw unfit(path, wanted, value);
    },
  };
}

function readFields<F extends Fields>(fields: F, value: unknown, path: string): ReadFields<F> {
  if (!isObject(value)) throw unfit(path, 'an object', value);
  const names = Object.keys(fields);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const known = names.filter((name) => fields[name]?.aliases?.includes(unknown));
    const near = known.length > 0 ? known : nearestNames(unknown, names);
    throw invalidArgument(
      `There is no ${join(path, shortened(unknown))}: did you mean ${near.map((name) => join(path, name)).join(' or ')}?`,
    );
  }
  const result: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    const chosen = given ?? (isDefaulted(field) ? field.fallback : undefined);
    if (chosen !== undefined) result[name] = field.read(chosen, join(path, name));
    else if (isNeeded(field))
      throw invalidArgument(`${join(path, name)} is missing: it must be ${field.wanted}.`);
  }
  return result as ReadFields<F>;
}

/** Null stands for what is absent, so that a file can say so. */
function memberJson(field: Schema<unknown>): JsonSchema {
  if (isNeeded(field)) return field.json;
  if (!isDefaulted(field)) return { anyOf: [field.json, { type: 'null' }] };
  const { default: fallback, ...json } = field.json;
  return { default: fallback, anyOf: [json, { type: 'null', description: 'the default' }] };
}

function isDefaulted(field: Schema<unknown>): field is Defaulted<unknown> {
  return 'fallback' in field;
}

function isNeeded(field: Schema<unknown> | undefined): boolean {
  return field !== undefined && 'needed' in field;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function listOf(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1) ?? ''}`;
}

function unfit(path: string, wanted: string, value: unknown): Error {
  return invalidArgument(`${path === '' ? 'The value' : path} must be ${wanted}, got ${shown(value)}.`);
}

/** A value as JSON has it, and numbers that JSON does not have as JavaScript does. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'bigint') return shortened(`${value}n`);
  try {
    return shortened(JSON.stringify(value));
  } catch {
    return 'what JSON cannot say';
  }
}
