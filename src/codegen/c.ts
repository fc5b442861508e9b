import { bf16Helpers } from './c-bf16.ts';
import { streamHelpers } from './c-stream.ts';
import { placeValues } from './inline.ts';
import type { Placement } from './inline.ts';
import { alignedLength } from './ir.ts';
import type { ArithmeticNode, Buffer, Kernel, LoadNode, Local, Statement, Table, Type, Value } from './ir.ts';

/**
 * Translates a kernel to portable C with the vector extensions of GCC and Clang (any lane count, any
 * machine; no intrinsics but the dot product of bfloat16). The result is one translation unit that exports
 *
 *     void <name>(float *const *buffers, float *scratch, int32_t task);
 *
 * `fma` and products that feed additions become fused instructions when compiled with
 * `-ffp-contract=fast`.
 */
export function emitC(kernel: Kernel): string {
  return new CEmitter(kernel).emit();
}

class CEmitter {
  readonly #kernel: Kernel;
  readonly #placement: (value: Value) => Placement;
  readonly #helpers = new Set<string>();
  readonly #locals: Local[] = [];
  readonly #lines: string[] = [];
  /** Expressions of values that are written in place. */
  readonly #inline = new Map<number, string>();
  #indent = 1;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#placement = placeValues(kernel);
  }

  emit(): string {
    const { name, description, lanes, buffers, scratch } = this.#kernel;
    this.#block(this.#kernel.body);
    const end = this.#helpers.has('wf_stream') ? [`  ${this.#helper('wf_stream_end')};`] : [];
    let offset = 0;
    const scratchLines = scratch.map((buffer) => {
      const line = `  float *const ${bufferName(buffer)} = scratch + ${offset};`;
      offset += alignedLength(buffer.length);
      return line;
    });
    return [
      remark(description),
      '#include <stdint.h>',
      '',
      ...prelude(lanes, this.#helpers),
      ...this.#kernel.tables.map(tableDefinition),
      '',
      `void ${name}(float *const *buffers, float *scratch, int32_t task)`,
      '{',
      ...buffers.map(
        (buffer, i) =>
          `  ${buffer.access === 'read' ? 'const float' : 'float'} *const ${bufferName(buffer)} = buffers[${i}];`,
      ),
      ...scratchLines,
      '  (void)buffers, (void)scratch, (void)task;',
      ...this.#locals.map((local) => `  ${C_TYPES[local.type]} ${localName(local)};`),
      ...this.#lines,
      ...end,
      '}',
      '',
    ].join('\n');
  }

  #line(text: string): void {
    this.#lines.push('  '.repeat(this.#indent) + text);
  }

  #block(statements: readonly Statement[]): void {
    for (const statement of statements) this.#statement(statement);
  }

  #statement(statement: Statement): void {
    switch (statement.kind) {
      case 'let':
        return this.#let(statement.value);
      case 'set': {
        const { local, value } = statement;
        if (!this.#locals.some((known) => known.id === local.id)) this.#locals.push(local);
        return this.#line(`${localName(local)} = ${this.#use(value)};`);
      }
      case 'store': {
        const { buffer, index, offset, value, streams } = statement;
        const place = this.#place(buffer, index, offset);
        if (streams) return this.#line(`${this.#helper('wf_stream', place, this.#use(value))};`);
        const target = value.type === 'vec' ? `*(uvec *)(${place})` : `*(${place})`;
        return this.#line(`${target} = ${this.#use(value)};`);
      }
      case 'for': {
        const i = localName(statement.local);
        const end = statement.end.op === 'const' ? this.#use(statement.end) : `${i}_end`;
        const bound = statement.end.op === 'const' ? '' : `, ${end} = ${this.#use(statement.end)}`;
        this.#line(
          `for (int32_t ${i} = ${this.#use(statement.start)}${bound}; ${i} < ${end}; ${i} += ${statement.step}) {`,
        );
        this.#nested(statement.body);
        return this.#line('}');
      }
      case 'if':
        this.#line(`if (${this.#use(statement.condition)}) {`);
        this.#nested(statement.then);
        if (statement.otherwise.length > 0) {
          this.#line('} else {');
          this.#nested(statement.otherwise);
        }
        return this.#line('}');
      case 'prefetch': {
        const { buffer, index, offset } = statement;
        return this.#line(`__builtin_prefetch(${this.#place(buffer, index, offset)}, 0, 2);`);
      }
      case 'comment':
        return this.#line(remark(statement.text));
    }
  }

  #nested(statements: readonly Statement[]): void {
    this.#indent++;
    this.#block(statements);
    this.#indent--;
  }

  #let(value: Value): void {
    const placement = this.#placement(value);
    if (placement === 'dead') return;
    const expression = this.#expression(value);
    if (placement === 'inline') this.#inline.set(value.id, `(${expression})`);
    else this.#line(`const ${C_TYPES[value.type]} t${value.id} = ${expression};`);
  }

  /** How a defined value is written where it is used. */
  #use(value: Value): string {
    if (value.op === 'const') return constant(value.type, value.value);
    if (value.op === 'task') return 'task';
    return this.#inline.get(value.id) ?? `t${value.id}`;
  }

  #place(buffer: Buffer, index: Value, offset: number): string {
    const shift = offset === 0 ? '' : offset > 0 ? ` + ${offset}` : ` - ${-offset}`;
    if (index.op === 'const') return `${bufferName(buffer)} + ${index.value + offset}`;
    return `${bufferName(buffer)} + ${this.#use(index)}${shift}`;
  }

  #expression(value: Value): string {
    switch (value.op) {
      case 'const':
      case 'task':
        return this.#use(value);
      case 'get':
        return localName(value.local);
      case 'load':
        return this.#load(value);
      default:
        return this.#arithmetic(value);
    }
  }

  #load(value: LoadNode): string {
    const place = this.#place(value.buffer, value.index, value.offset);
    if (value.type === 'f32') return `*(${place})`;
    if (value.broadcast) return this.#helper('wf_splat', `*(${place})`);
    return `*(const uvec *)(${place})`;
  }

  #helper(name: string, ...args: readonly string[]): string {
    this.#helpers.add(name);
    return `${name}(${args.join(', ')})`;
  }

  #arithmetic(value: ArithmeticNode): string {
    const args = value.args.map((arg) => this.#use(arg));
    const [a = '', b = '', c = ''] = args;
    const vector = value.args.some((arg) => arg.type === 'vec' || arg.type === 'mask');
    const suffix = vector ? '' : 'f';
    switch (value.op) {
      case 'neg':
        return `-${a}`;
      case 'abs':
      case 'sqrt':
      case 'floor':
        return vector
          ? this.#helper(`wf_${value.op}`, a)
          : `__builtin_${value.op === 'abs' ? 'fabs' : value.op}${suffix}(${a})`;
      case 'pow2':
        return this.#helper(vector ? 'wf_pow2' : 'wf_pow2f', a);
      case 'not':
        return vector ? `~${a}` : `!${a}`;
      case 'toF32':
        return `(float)${a}`;
      case 'toI32':
        return this.#helper('wf_to_i32', a);
      case 'asF32':
        return this.#helper('wf_as_f32', a);
      case 'asI32':
        return this.#helper('wf_as_i32', a);
      case 'splat':
        return this.#helper('wf_splat', a);
      case 'sumLanes':
        return this.#helper('wf_sum', a);
      case 'maxLanes':
        return this.#helper('wf_maxlane', a);
      case 'fma':
        return `${a} * ${b} + ${c}`;
      case 'packBf16':
        return this.#helper(vector ? 'wf_pack_bf16' : 'wf_pack_bf16f', a, b);
      case 'zipLow':
        return this.#helper('wf_zip_low', a, b);
      case 'zipHigh':
        return this.#helper('wf_zip_high', a, b);
      case 'dotBf16':
        return this.#helper('wf_dot_bf16', a, b, c);
      case 'select':
        return value.args[0]?.type === 'mask' ? this.#helper('wf_select', a, b, c) : `${a} ? ${b} : ${c}`;
      case 'min':
      case 'max': {
        if (vector) {
          // GCC knows the loop over lanes as one instruction, but takes it apart again if it sees a constant.
          const constant = value.args.some((arg) => arg.op === 'const');
          return this.#helper(`wf_${value.op}${constant ? 'c' : ''}`, a, b);
        }
        const type = value.type === 'i32' ? 'i' : 'f';
        return this.#helper(`wf_${value.op}${type}`, a, b);
      }
      default: {
        const isBool = value.args[0]?.type === 'bool';
        const operator =
          isBool && value.op === 'and' ? '&&' : isBool && value.op === 'or' ? '||' : C_OPERATORS[value.op];
        return `${a} ${operator} ${b}`;
      }
    }
  }
}

const C_TYPES: Readonly<Record<Type, string>> = {
  i32: 'int32_t',
  f32: 'float',
  vec: 'vec',
  bool: 'int32_t',
  mask: 'mask',
};

const C_OPERATORS = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  rem: '%',
  shl: '<<',
  shr: '>>',
  lt: '<',
  le: '<=',
  eq: '==',
  ne: '!=',
  and: '&',
  or: '|',
} as const;

/** No other name ends like that, so that buffers may have any: `task`, `float`, `t3`. */
function bufferName(buffer: Buffer): string {
  return `${buffer.name}_`;
}

function localName(local: Local): string {
  return `${local.name}_${local.id}`;
}

/** A text as a comment of one line, whatever is in it. */
function remark(text: string): string {
  return `/* ${text.replace(/[\r\n]+/g, ' ').replaceAll('*/', '* /')} */`;
}

function constant(type: Type, value: number): string {
  if (type === 'i32' || type === 'bool') return value < 0 ? `(${value})` : String(value);
  const literal = floatLiteral(value);
  return type === 'vec' ? `(${literal} - (vec){0})` : literal;
}

function tableDefinition({ buffer, values }: Table): string {
  const literals = [...values].map(floatLiteral).join(', ');
  return `static const float ${bufferName(buffer)}[${values.length}] __attribute__((aligned(64))) = {${literals}};`;
}

/** A decimal that rounds to this float32: the shortest one of its double. */
function floatLiteral(value: number): string {
  if (Number.isNaN(value)) return '__builtin_nanf("")';
  if (!Number.isFinite(value)) return value > 0 ? '__builtin_inff()' : '(-__builtin_inff())';
  const digits = Object.is(value, -0) ? '-0' : String(value);
  const text = `${/[.e]/.test(digits) ? digits : `${digits}.0`}f`;
  return text.startsWith('-') ? `(${text})` : text;
}

/** Type definitions, and the helpers that the kernel uses. */
function prelude(lanes: number, helpers: ReadonlySet<string>): string[] {
  const bytes = 4 * lanes;
  const lines = [
    `#define LANES ${lanes}`,
    `typedef float vec __attribute__((vector_size(${bytes})));`,
    `typedef float uvec __attribute__((vector_size(${bytes}), aligned(4), may_alias)); /* in memory: any alignment */`,
    `typedef int32_t mask __attribute__((vector_size(${bytes})));`,
  ];
  const definitions = { ...helperDefinitions(lanes), ...bf16Helpers(lanes), ...streamHelpers(lanes) };
  for (const [name, definition] of Object.entries(definitions)) {
    if (helpers.has(name)) lines.push(definition);
  }
  return lines;
}

function helperDefinitions(lanes: number): Record<string, string> {
  const perLane = (expression: string): string =>
    `{ vec r; for (int i = 0; i < LANES; i++) r[i] = ${expression}; return r; }`;
  return {
    // Subtracting zero keeps every value's bits, and both compilers turn this into one broadcast.
    wf_splat: 'static inline vec wf_splat(float a) { return a - (vec){0}; }',
    wf_min: `static inline vec wf_min(vec a, vec b) ${perLane('b[i] < a[i] ? b[i] : a[i]')}`,
    wf_max: `static inline vec wf_max(vec a, vec b) ${perLane('a[i] < b[i] ? b[i] : a[i]')}`,
    wf_minc:
      'static inline vec wf_minc(vec a, vec b) { const mask m = b < a; return (vec)((m & (mask)b) | (~m & (mask)a)); }',
    wf_maxc:
      'static inline vec wf_maxc(vec a, vec b) { const mask m = a < b; return (vec)((m & (mask)b) | (~m & (mask)a)); }',
    wf_minf: 'static inline float wf_minf(float a, float b) { return b < a ? b : a; }',
    wf_maxf: 'static inline float wf_maxf(float a, float b) { return a < b ? b : a; }',
    wf_mini: 'static inline int32_t wf_mini(int32_t a, int32_t b) { return b < a ? b : a; }',
    wf_maxi: 'static inline int32_t wf_maxi(int32_t a, int32_t b) { return a < b ? b : a; }',
    wf_abs: 'static inline vec wf_abs(vec a) { return (vec)((mask)a & 0x7fffffff); }',
    wf_sqrt: `static inline vec wf_sqrt(vec a) ${perLane('__builtin_sqrtf(a[i])')}`,
    // Truncate, step down where that rounded up; keep the sign of -0, and what is integral or NaN anyway.
    wf_floor: [
      'static inline vec wf_floor(vec a) {',
      '  const mask small = (vec)((mask)a & 0x7fffffff) < 8388608.0f;',
      '  const vec t = __builtin_convertvector(__builtin_convertvector((vec)((mask)a & small), mask), vec);',
      '  const vec down = t + (vec)((a < t) & (mask)((vec){0} - 1.0f));',
      '  const mask r = (mask)down | ((mask)a & (int32_t)0x80000000);',
      '  return (vec)((r & small) | ((mask)a & ~small));',
      '}',
    ].join('\n'),
    wf_pow2:
      'static inline vec wf_pow2(vec a) { return (vec)((__builtin_convertvector(a, mask) + 127) << 23); }',
    // GCC takes (float)(int32_t)a for a truncation, which keeps the sign of zero; it may not see where the integer is from.
    wf_to_i32:
      'static inline int32_t wf_to_i32(float a) { int32_t i = (int32_t)a; __asm__("" : "+r"(i)); return i; }',
    wf_as_f32:
      'static inline float wf_as_f32(int32_t a) { union { int32_t i; float f; } u = {a}; return u.f; }',
    wf_as_i32:
      'static inline int32_t wf_as_i32(float a) { union { float f; int32_t i; } u = {a}; return u.i; }',
    wf_pow2f:
      'static inline float wf_pow2f(float a) { union { int32_t i; float f; } u = {((int32_t)a + 127) << 23}; return u.f; }',
    wf_select:
      'static inline vec wf_select(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }',
    wf_zip_low: zip(lanes, 'wf_zip_low', 0),
    wf_zip_high: zip(lanes, 'wf_zip_high', lanes),
    wf_sum: halving(lanes, 'wf_sum', (a, b) => `${a} + ${b}`),
    wf_maxlane: halving(lanes, 'wf_maxlane', (a, b) => `${a} < ${b} ? ${b} : ${a}`),
  };
}

/** `lanes` of a₀ b₀ a₁ b₁ …, from `start` on. GCC before version 12 has a built-in of its own for shuffles. */
function zip(lanes: number, name: string, start: number): string {
  const zipped = Array.from({ length: lanes }, (_, i) => ((start + i) >> 1) + ((start + i) % 2) * lanes);
  return [
    '#if defined(__clang__) || __GNUC__ >= 12',
    `static inline vec ${name}(vec a, vec b) { return __builtin_shufflevector(a, b, ${zipped.join(', ')}); }`,
    '#else',
    `static inline vec ${name}(vec a, vec b) { return __builtin_shuffle(a, b, (mask){${zipped.join(', ')}}); }`,
    '#endif',
  ].join('\n');
}

function halving(lanes: number, name: string, combine: (a: string, b: string) => string): string {
  const lines = [`static inline float ${name}(vec a) {`];
  if (lanes === 1) return `${lines[0] ?? ''} return a[0]; }`;
  lines.push('  float t[LANES];', '  *(uvec *)t = a;');
  for (let half = lanes / 2; half >= 1; half /= 2) {
    lines.push(`  for (int i = 0; i < ${half}; i++) t[i] = ${combine('t[i]', `t[i + ${half}]`)};`);
  }
  lines.push('  return t[0];', '}');
  return lines.join('\n');
}
