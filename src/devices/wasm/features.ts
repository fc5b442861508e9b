import { ModuleWriter } from '../../codegen/wasm/module.ts';

/** What the engine at hand can do. */
export interface WasmFeatures {
  /** 128-bit vectors. */
  readonly simd: boolean;
  /** Relaxed SIMD: fused multiply-add. */
  readonly relaxed: boolean;
  /** Memory shared between threads, and atomics. In browsers only pages that are cross-origin isolated may share. */
  readonly sharedMemory: boolean;
}

/** Asks the engine by letting it validate a tiny module for each feature. */
export function wasmFeatures(): WasmFeatures {
  if (typeof WebAssembly === 'undefined') return { simd: false, relaxed: false, sharedMemory: false };
  const mayShare =
    typeof SharedArrayBuffer !== 'undefined' &&
    (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false;
  return {
    simd: WebAssembly.validate(simdProbe(false)),
    relaxed: WebAssembly.validate(simdProbe(true)),
    sharedMemory: mayShare && WebAssembly.validate(atomicsProbe()),
  };
}

function simdProbe(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter({ pages: 0, maxPages: 0, shared: false });
  module.function('probe', { params: ['v128'], result: 'v128' }, (writer) => {
    for (let i = 0; i < 3; i++) writer.get(0);
    if (relaxed) {
      writer.op('f32x4.relaxed_madd');
    } else {
      writer.op('f32x4.mul');
      writer.op('f32x4.pmin');
    }
  });
  return module.bytes();
}

function atomicsProbe(): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter({ pages: 1, maxPages: 1, shared: true });
  module.function('probe', { params: [], result: 'i32' }, (writer) => {
    writer.i32(0);
    writer.i32(1);
    writer.memory('i32.atomic.rmw.add', 0);
  });
  return module.bytes();
}
