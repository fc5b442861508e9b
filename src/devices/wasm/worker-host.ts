import type * as os from 'node:os';
import type * as workerThreads from 'node:worker_threads';

/** A worker thread, alike under Node and in browsers. */
export interface WorkerHost {
  post(message: unknown): void;
  /** Whether the worker keeps the process alive; browsers have no such thing. */
  keepAlive(keep: boolean): void;
  terminate(): Promise<void>;
}

export interface WorkerEvents {
  message(data: unknown): void;
  /** The worker threw outside of its own error handling, or ended. */
  lost(error: Error): void;
}

/** Starts a worker from the text of a script. Throws where workers are forbidden; they may also fail later. */
export type SpawnWorker = (source: string, events: WorkerEvents) => WorkerHost;

export const spawnWorker: SpawnWorker = (source, events) => {
  const threads = nodeModule('node:worker_threads');
  return threads === undefined ? spawnInBrowser(source, events) : spawnInNode(threads, source, events);
};

/** Processor threads of this machine, 1 if unknown. */
export function hardwareThreads(): number {
  const system = nodeModule('node:os');
  if (system !== undefined) return system.availableParallelism();
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/** Engine and processor, for keys of measurements. */
export function engineVersion(): string {
  const system = nodeModule('node:os');
  if (system !== undefined) {
    const { node = 'unknown', v8 = 'unknown' } = process.versions as Partial<NodeJS.ProcessVersions>;
    return `node ${node} v8 ${v8} ${system.cpus()[0]?.model ?? 'unknown processor'}`;
  }
  return (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent ?? 'unknown engine';
}

interface NodeModules {
  'node:worker_threads': typeof workerThreads;
  'node:os': typeof os;
}

/** A module of Node, where there is Node; asked for in a way that bundlers for browsers do not follow. */
function nodeModule<K extends keyof NodeModules>(name: K): NodeModules[K] | undefined {
  const { process: node } = globalThis as { process?: Partial<NodeJS.Process> };
  return node?.getBuiltinModule?.(name);
}

function spawnInNode(
  threads: NodeModules['node:worker_threads'],
  source: string,
  events: WorkerEvents,
): WorkerHost {
  // Loaders and hooks of the application are none of the worker's business.
  const worker = new threads.Worker(source, { eval: true, execArgv: [], name: 'widefield' });
  worker.on('message', (data: unknown) => {
    events.message(data);
  });
  worker.on('error', (error) => {
    events.lost(error instanceof Error ? error : new Error(String(error)));
  });
  worker.on('exit', (code) => {
    events.lost(new Error(`the worker ended with exit code ${code}`));
  });
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    keepAlive: (keep) => {
      if (keep) worker.ref();
      else worker.unref();
    },
    terminate: async () => {
      await worker.terminate();
    },
  };
}

function spawnInBrowser(source: string, events: WorkerEvents): WorkerHost {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new Worker(url, { name: 'widefield' });
  worker.onmessage = (event: MessageEvent<unknown>) => {
    // The script has been read by now.
    URL.revokeObjectURL(url);
    events.message(event.data);
  };
  // A worker that may not start gives a plain event without a message.
  worker.onerror = (event: Partial<ErrorEvent>) => {
    events.lost(new Error(event.message ?? 'does the page allow workers from blob: URLs?'));
  };
  worker.onmessageerror = () => {
    events.lost(new Error('a message to the worker could not be read'));
  };
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    keepAlive: () => undefined,
    terminate: () => {
      worker.terminate();
      return Promise.resolve();
    },
  };
}
