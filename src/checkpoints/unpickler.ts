import { invalidArgument } from '../core/errors.ts';
import { PickleMachine } from './pickle-machine.ts';
import type { PickleWorld } from './pickle-machine.ts';
import { PickleDict, PickleList } from './pickle-value.ts';
import type { PickleValue } from './pickle-value.ts';

export interface Unpickled {
  readonly value: PickleValue;
  /** Where the pickle ends, in bytes. */
  readonly end: number;
}

/** Opcodes, and thus values, of one pickle. Checkpoints with optimizer states take some 10^5. */
const MAX_OPERATIONS = 2 ** 22;

/**
 * Reads one pickle, of protocols 0 to 5, as inert data, and **executes nothing**: classes and functions stay names,
 * and those that `world` does not admit are refused as soon as they are named. Time and memory are proportional to
 * the bytes read. Throws `PickleEnded` if there are too few bytes, `invalid-argument` if they make no sense.
 */
export function unpickle(bytes: Uint8Array, start: number, world: PickleWorld): Unpickled {
  const machine = new PickleMachine(bytes, start, world);
  for (let count = 0; count < MAX_OPERATIONS; count++) {
    const code = machine.reader.uint8();
    if (code === STOP) return { value: machine.pop(), end: machine.reader.position };
    const operation = OPERATIONS.get(code);
    if (operation === undefined) {
      throw machine.reader.damaged(`has the unknown opcode 0x${code.toString(16).padStart(2, '0')}`);
    }
    operation(machine);
  }
  throw invalidArgument(
    `${world.name} has a pickle of more than ${MAX_OPERATIONS} steps: save the state dict alone.`,
  );
}

type Operation = (machine: PickleMachine) => void;

const STOP = 0x2e;

/** By opcode; names as in Python's pickletools. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  // Stack and memo
  [0x28 /* MARK */, (m) => m.mark()],
  [0x30 /* POP */, (m) => m.discard()],
  [0x31 /* POP_MARK */, (m) => void m.popMark()],
  [0x32 /* DUP */, (m) => m.push(m.top())],
  [0x67 /* GET */, (m) => m.recall(m.reader.decimal(m.reader.line()))],
  [0x68 /* BINGET */, (m) => m.recall(m.reader.uint8())],
  [0x6a /* LONG_BINGET */, (m) => m.recall(m.reader.uint32())],
  [0x70 /* PUT */, (m) => m.remember(m.reader.decimal(m.reader.line()))],
  [0x71 /* BINPUT */, (m) => m.remember(m.reader.uint8())],
  [0x72 /* LONG_BINPUT */, (m) => m.remember(m.reader.uint32())],
  [0x94 /* MEMOIZE */, (m) => m.memoize()],
  // Numbers and None
  [0x4e /* NONE */, (m) => m.push(null)],
  [0x88 /* NEWTRUE */, (m) => m.push(true)],
  [0x89 /* NEWFALSE */, (m) => m.push(false)],
  [0x49 /* INT */, pushIntegerLine],
  [0x4a /* BININT */, (m) => m.push(m.reader.int32())],
  [0x4b /* BININT1 */, (m) => m.push(m.reader.uint8())],
  [0x4d /* BININT2 */, (m) => m.push(m.reader.uint16())],
  [0x4c /* LONG */, (m) => m.push(m.reader.decimal(m.reader.line()))],
  [0x8a /* LONG1 */, (m) => m.push(m.reader.integer(m.reader.uint8()))],
  [0x8b /* LONG4 */, (m) => m.push(m.reader.integer(m.reader.int32()))],
  [0x46 /* FLOAT */, pushFloatLine],
  [0x47 /* BINFLOAT */, (m) => m.push(m.reader.float64())],
  // Text and bytes
  [0x53 /* STRING */, pushQuotedLine],
  [0x54 /* BINSTRING */, (m) => m.push(m.reader.latin1(m.reader.int32()))],
  [0x55 /* SHORT_BINSTRING */, (m) => m.push(m.reader.latin1(m.reader.uint8()))],
  [0x56 /* UNICODE */, (m) => m.push(m.reader.line())],
  [0x58 /* BINUNICODE */, (m) => m.push(m.reader.utf8(m.reader.uint32()))],
  [0x8c /* SHORT_BINUNICODE */, (m) => m.push(m.reader.utf8(m.reader.uint8()))],
  [0x8d /* BINUNICODE8 */, (m) => m.push(m.reader.utf8(m.reader.uint64()))],
  [0x42 /* BINBYTES */, (m) => m.push(m.reader.bytes(m.reader.uint32()))],
  [0x43 /* SHORT_BINBYTES */, (m) => m.push(m.reader.bytes(m.reader.uint8()))],
  [0x8e /* BINBYTES8 */, (m) => m.push(m.reader.bytes(m.reader.uint64()))],
  [0x96 /* BYTEARRAY8 */, (m) => m.push(m.reader.bytes(m.reader.uint64()))],
  // Collections
  [0x5d /* EMPTY_LIST */, (m) => m.push(new PickleList('list', []))],
  [0x6c /* LIST */, (m) => m.push(new PickleList('list', m.popMark()))],
  [0x61 /* APPEND */, append],
  [0x65 /* APPENDS */, appendMarked],
  [0x29 /* EMPTY_TUPLE */, (m) => m.push(new PickleList('tuple', []))],
  [0x74 /* TUPLE */, (m) => m.push(new PickleList('tuple', m.popMark()))],
  [0x85 /* TUPLE1 */, tupleOf(1)],
  [0x86 /* TUPLE2 */, tupleOf(2)],
  [0x87 /* TUPLE3 */, tupleOf(3)],
  [0x7d /* EMPTY_DICT */, (m) => m.push(new PickleDict())],
  [0x64 /* DICT */, pushDict],
  [0x73 /* SETITEM */, setItem],
  [0x75 /* SETITEMS */, setItemsMarked],
  [0x8f /* EMPTY_SET */, (m) => m.push(new PickleList('set', []))],
  [0x90 /* ADDITEMS */, appendMarked],
  [0x91 /* FROZENSET */, (m) => m.push(new PickleList('set', m.popMark()))],
  // Names, calls, objects
  [0x63 /* GLOBAL */, (m) => m.push(admitLines(m))],
  [0x93 /* STACK_GLOBAL */, pushStackGlobal],
  [0x52 /* REDUCE */, reduce],
  [0x81 /* NEWOBJ */, reduce],
  [0x92 /* NEWOBJ_EX */, newObjectEx],
  [0x69 /* INST */, (m) => m.call(admitLines(m), m.popMark())],
  [0x6f /* OBJ */, callMarked],
  [0x62 /* BUILD */, dropState],
  [0x50 /* PERSID */, (m) => m.push(m.world.persistent(m.reader.line()))],
  [0x51 /* BINPERSID */, (m) => m.push(m.world.persistent(m.pop()))],
  // Framing
  [0x80 /* PROTO */, checkProtocol],
  [0x95 /* FRAME */, (m) => void m.reader.uint64()],
]);

/** A decimal integer, or 00 and 01 for False and True. */
function pushIntegerLine(machine: PickleMachine): void {
  const line = machine.reader.line();
  machine.push(line === '00' ? false : line === '01' ? true : machine.reader.decimal(line));
}

function pushFloatLine(machine: PickleMachine): void {
  const line = machine.reader.line();
  const special = /^([+-]?)(inf|nan)$/.exec(line);
  if (special === null && (line === '' || Number.isNaN(Number(line)))) {
    throw machine.reader.damaged('has an ill-formed float');
  }
  if (special === null) machine.push(Number(line));
  else machine.push(special[2] === 'nan' ? NaN : special[1] === '-' ? -Infinity : Infinity);
}

/** A Python literal in quotes. Escapes stay as they are: no name of a tensor has any. */
function pushQuotedLine(machine: PickleMachine): void {
  const quoted = /^(['"])(.*)\1$/s.exec(machine.reader.line());
  if (quoted === null) throw machine.reader.damaged('has a string without quotes');
  machine.push(quoted[2] ?? '');
}

function append(machine: PickleMachine): void {
  const value = machine.pop();
  machine.append([value]);
}

function appendMarked(machine: PickleMachine): void {
  const values = machine.popMark();
  machine.append(values);
}

function tupleOf(count: number): Operation {
  return (machine) => {
    const items = Array.from({ length: count }, () => machine.pop()).reverse();
    machine.push(new PickleList('tuple', items));
  };
}

function pushDict(machine: PickleMachine): void {
  const items = machine.popMark();
  machine.push(new PickleDict());
  machine.setItems(items);
}

function setItem(machine: PickleMachine): void {
  const value = machine.pop();
  const key = machine.pop();
  machine.setItems([key, value]);
}

function setItemsMarked(machine: PickleMachine): void {
  const items = machine.popMark();
  machine.setItems(items);
}

/** A callable's module and name, on two lines. */
function admitLines(machine: PickleMachine): ReturnType<PickleWorld['admit']> {
  const module = machine.reader.line();
  return machine.world.admit(`${module}.${machine.reader.line()}`);
}

function pushStackGlobal(machine: PickleMachine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof name !== 'string' || typeof module !== 'string') {
    throw machine.reader.damaged('names a callable by something that is no text');
  }
  machine.push(machine.world.admit(`${module}.${name}`));
}

function reduce(machine: PickleMachine): void {
  const args = machine.popTuple();
  machine.call(machine.pop(), args);
}

/** Class, arguments and named arguments; the latter concern only objects that nobody reads. */
function newObjectEx(machine: PickleMachine): void {
  machine.pop();
  reduce(machine);
}

/** The class lies right above the mark, its arguments above that. */
function callMarked(machine: PickleMachine): void {
  const [callable, ...args] = machine.popMark();
  machine.call(callable, args);
}

/** BUILD gives the object on top its state. Of what we read, no state matters. */
function dropState(machine: PickleMachine): void {
  machine.pop();
  machine.top();
}

function checkProtocol(machine: PickleMachine): void {
  const protocol = machine.reader.uint8();
  if (protocol > 5) throw machine.reader.damaged(`has the unknown protocol ${protocol}`);
}
