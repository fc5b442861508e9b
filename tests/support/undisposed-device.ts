// A script for tests: uses the native device and ends, or is ended, without disposing of it.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';

import { openNativeDevice } from '../../src/devices/native.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import { createOp } from '../../src/runtime/op.ts';

if (isMainThread && process.argv[2] === 'terminate') {
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(fileURLToPath(import.meta.url));
    await once(worker, 'message');
    await worker.terminate();
  }
} else {
  const device = await openNativeDevice({ threads: 3 });
  const pitch = Math.max(...device.caps.lanes);
  const [rows, inputs, outputs] = [8192, 256, 256];
  const op = await createOp(
    device,
    {
      ...{ op: 'pointwise', rows, inputs, outputs, epilogue: NO_EPILOGUE },
      ...{ inputPitch: Math.ceil(inputs / pitch) * pitch, outputPitch: Math.ceil(outputs / pitch) * pitch },
    },
    { weight: new Float32Array(inputs * outputs) },
  );
  await op.run();
  parentPort?.postMessage('ready');
  while (!isMainThread) await op.run();
}
