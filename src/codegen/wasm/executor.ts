import type { FunctionRef, FunctionWriter, Signature } from './function.ts';
import type { ModuleWriter } from './module.ts';
import type { WasmProgram, WasmStep } from './program.ts';

/** Offsets in bytes of the words by which threads agree, each on a cache line of its own. */
export const CONTROL_WORDS = {
  /** The next task of the running step. */
  nextTask: 0,
  /** Threads that have arrived at the barrier. */
  arrived: 64,
  /** Number of barriers passed. */
  generation: 128,
  /** Threads that sleep at the barrier. */
  sleepers: 192,
  /** Set by the host: stop at the next barrier. */
  cancel: 256,
  /** `cancel` as the last thread saw it that arrived at the barrier, so that all threads decide alike. */
  verdict: 320,
} as const;

export const CONTROL_BYTES = 384;

/** How often a thread looks at the barrier before it goes to sleep: a few microseconds. */
const SPINS = 4000;

const STEP: Signature = { params: ['i32'] };

/** Defines `run` and what it calls: a function for each step, reached by index through the table. */
export function defineExecutor(
  module: ModuleWriter,
  program: WasmProgram,
  kernels: readonly FunctionRef[],
): void {
  const { shared } = program.memory;
  module.table(
    program.steps.map((step, i) => {
      const name = `step ${i}`;
      return module.function(name, STEP, (writer) => {
        writeStep(writer, program, step, kernels);
      });
    }),
  );
  const barrier = shared
    ? module.function('barrier', { params: [], result: 'i32' }, (writer) => {
        writeBarrier(writer, program);
      })
    : undefined;
  const stepType = module.type(STEP);
  module.function(
    'run',
    { params: ['i32', 'i32', 'i32'], result: 'i32' },
    (writer) => {
      writeRun(writer, program, stepType, barrier);
    },
    { exported: true },
  );
}

/** run(step, end, thread): while (step < end) { steps[step](scratch); if (barrier()) return 1; step++ } return 0 */
function writeRun(
  writer: FunctionWriter,
  program: WasmProgram,
  stepType: number,
  barrier: FunctionRef | undefined,
): void {
  const [step, end, thread] = [0, 1, 2];
  const scratch = writer.local('i32');
  writer.get(thread);
  writer.i32(program.scratch.stride);
  writer.op('i32.mul');
  writer.i32(program.scratch.address);
  writer.op('i32.add');
  writer.set(scratch);
  writer.block((done) => {
    writer.loop((next) => {
      writer.get(step);
      writer.get(end);
      writer.op('i32.ge_s');
      writer.branchIf(done);
      writer.get(scratch);
      writer.get(step);
      writer.callIndirect(stepType, STEP);
      if (barrier !== undefined) {
        writer.call(barrier);
        writer.if(() => {
          writer.i32(1);
          writer.return();
        });
      }
      writer.get(step);
      writer.i32(1);
      writer.op('i32.add');
      writer.set(step);
      writer.branch(next);
    });
  });
  writer.i32(0);
}

/** step(scratch): takes tasks until none is left. */
function writeStep(
  writer: FunctionWriter,
  program: WasmProgram,
  step: WasmStep,
  kernels: readonly FunctionRef[],
): void {
  const kernel = program.kernels[step.kernel];
  const target = kernels[step.kernel];
  if (kernel === undefined || target === undefined) throw new Error(`there is no kernel ${step.kernel}`);
  const scratch = 0;
  const task = writer.local('i32');
  const call = (): void => {
    for (const address of step.addresses) writer.i32(address);
    writer.get(scratch);
    writer.get(task);
    writer.call(target);
  };
  writer.loop((next) => {
    if (program.memory.shared) {
      writer.i32(program.control);
      writer.i32(1);
      writer.memory('i32.atomic.rmw.add', CONTROL_WORDS.nextTask);
      writer.tee(task);
      writer.i32(kernel.tasks);
      writer.op('i32.lt_s');
      writer.if(() => {
        call();
        writer.branch(next);
      });
    } else {
      call();
      writer.get(task);
      writer.i32(1);
      writer.op('i32.add');
      writer.tee(task);
      writer.i32(kernel.tasks);
      writer.op('i32.lt_s');
      writer.branchIf(next);
    }
  });
}

/**
 * barrier(): waits for all threads; the last one to arrive prepares the next step and decides whether there is one.
 *
 * A thread that goes to sleep counts itself first and then checks the generation again (as part of the wait), and
 * the last thread changes the generation first and then looks for sleepers, so that nobody is left asleep.
 */
function writeBarrier(writer: FunctionWriter, program: WasmProgram): void {
  const generation = writer.local('i32');
  const spins = writer.local('i32');
  const pushVerdict = (): void => {
    load('verdict');
  };
  const load = (word: keyof typeof CONTROL_WORDS): void => {
    writer.i32(program.control);
    writer.memory('i32.atomic.load', CONTROL_WORDS[word]);
  };
  const store = (word: keyof typeof CONTROL_WORDS, push: () => void): void => {
    writer.i32(program.control);
    push();
    writer.memory('i32.atomic.store', CONTROL_WORDS[word]);
  };
  const add = (word: keyof typeof CONTROL_WORDS, count: number): void => {
    writer.i32(program.control);
    writer.i32(count);
    writer.memory('i32.atomic.rmw.add', CONTROL_WORDS[word]);
  };
  const zero = (): void => {
    writer.i32(0);
  };
  const returnIfPassed = (): void => {
    load('generation');
    writer.get(generation);
    writer.op('i32.ne');
    writer.if(() => {
      pushVerdict();
      writer.return();
    });
  };

  load('generation');
  writer.set(generation);
  add('arrived', 1);
  writer.i32(program.threads - 1);
  writer.op('i32.eq');
  writer.if(() => {
    store('arrived', zero);
    store('nextTask', zero);
    store('verdict', () => {
      load('cancel');
    });
    add('generation', 1);
    writer.drop();
    load('sleepers');
    writer.if(() => {
      writer.i32(program.control);
      writer.i32(-1);
      writer.memory('memory.atomic.notify', CONTROL_WORDS.generation);
      writer.drop();
    });
    pushVerdict();
    writer.return();
  });
  writer.loop((again) => {
    returnIfPassed();
    writer.get(spins);
    writer.i32(1);
    writer.op('i32.add');
    writer.tee(spins);
    writer.i32(SPINS);
    writer.op('i32.lt_s');
    writer.branchIf(again);
  });
  add('sleepers', 1);
  writer.drop();
  writer.loop((again) => {
    writer.i32(program.control);
    writer.get(generation);
    writer.i64(-1);
    writer.memory('memory.atomic.wait32', CONTROL_WORDS.generation);
    writer.drop();
    load('generation');
    writer.get(generation);
    writer.op('i32.eq');
    writer.branchIf(again);
  });
  add('sleepers', -1);
  writer.drop();
  pushVerdict();
}
