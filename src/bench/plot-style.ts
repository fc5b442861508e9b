import type { BenchReport } from './report.ts';

/** The colours of Okabe and Ito (2008), which people with any colour vision can tell apart. */
const ENGINE_COLOURS: Readonly<Record<string, string>> = {
  'widefield-native': '#0072B2',
  'widefield-native-fused': '#0072B2',
  'widefield-native-layer-wise': '#009E73',
  'widefield-wasm': '#56B4E9',
  'widefield-wasm-fused': '#56B4E9',
  'widefield-wasm-layer-wise': '#CC79A7',
  'onnxruntime-node': '#D55E00',
  'onnxruntime-web': '#E69F00',
  tfjs: '#009E73',
  'jax-js': '#CC79A7',
  pytorch: '#000000',
  'pytorch-channels-last': '#777777',
};
const OTHER_COLOUR = '#999999';

/** The scale of engines' colours. */
export const COLOURS = {
  domain: Object.keys(ENGINE_COLOURS),
  range: Object.values(ENGINE_COLOURS),
  unknown: OTHER_COLOUR,
};

/** Where the numbers come from. */
export function sourceOf(machine: BenchReport['machine']): string {
  return `${machine.cpu}, ${machine.threads} threads, Node ${machine.node}`;
}

/** Adds what an SVG needs outside of a page: its namespace, a background, and where the numbers come from. */
export function standalone(
  svg: Element,
  document: Document,
  { x, y }: { readonly x: number; readonly y: number },
  source: string,
): string {
  const namespace = 'http://www.w3.org/2000/svg';
  svg.setAttribute('xmlns', namespace);
  const background = document.createElementNS(namespace, 'rect');
  background.setAttribute('width', '100%');
  background.setAttribute('height', '100%');
  background.setAttribute('fill', 'white');
  const note = document.createElementNS(namespace, 'text');
  note.setAttribute('x', String(x));
  note.setAttribute('y', String(y));
  note.setAttribute('fill', '#666');
  note.setAttribute('text-anchor', 'start');
  note.textContent = source;
  svg.querySelector('style')?.after(background);
  svg.append(note);
  return `${svg.outerHTML}\n`;
}
