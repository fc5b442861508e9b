import type { Peer, PeerOptions } from '../engine.ts';
import { openJaxJs } from './jax-js.ts';
import { openOnnxruntimeNode } from './onnxruntime-node.ts';
import { openOnnxruntimeWeb } from './onnxruntime-web.ts';
import { openPytorch } from './pytorch.ts';
import { openTfjs } from './tfjs.ts';

const OPENERS = {
  'onnxruntime-node': openOnnxruntimeNode,
  'onnxruntime-web': openOnnxruntimeWeb,
  tfjs: openTfjs,
  'jax-js': openJaxJs,
  pytorch: openPytorch,
} as const satisfies Record<string, (options: PeerOptions) => Promise<Peer>>;

export type PeerName = keyof typeof OPENERS;

export const PEER_NAMES = Object.keys(OPENERS) as PeerName[];

/** Runtimes that can take a whole network; the others would need each network written anew in their own terms. */
export const MODEL_PEER_NAMES: readonly PeerName[] = ['onnxruntime-node', 'onnxruntime-web', 'pytorch'];

/** A runtime that this machine does not have, and why it seems so. */
export interface AbsentPeer {
  readonly absent: string;
}

/** Opens another project's runtime, if it is installed. */
export async function openPeer(name: PeerName, options: PeerOptions): Promise<Peer | AbsentPeer> {
  try {
    return await OPENERS[name](options);
  } catch (error) {
    return { absent: reason(name, error) };
  }
}

function reason(name: PeerName, error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
    return `not installed (npm install ${PACKAGES[name] ?? name})`;
  }
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0] ?? 'it does not start';
}

/** Where the package is not called like the peer. */
const PACKAGES: Partial<Record<PeerName, string>> = {
  tfjs: '@tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm',
  'jax-js': '@jax-js/jax',
};
