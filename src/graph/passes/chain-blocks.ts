import type { Problem } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import { rewriteGraph, usersOf } from '../graph.ts';
import type { Graph, Node } from '../graph.ts';
import { lower } from '../lower.ts';
import type { ConvFirstChainOp, ConvFirstOp } from '../op.ts';
import type { FuseBlocksOptions } from './fuse-blocks.ts';
import { firstInput } from './patterns.ts';
import type { NodeOf, Users } from './patterns.ts';

type Block = NodeOf<ConvFirstOp>;
type Chain = NodeOf<ConvFirstChainOp>;

/**
 * Makes one `convfirst-chain` of ConvFirst blocks of one shape that follow each other, if that is worth it: then a band of
 * the map goes through all of them while it is in the caches of a core (depth-first), and only the last one's result
 * reaches memory. Comes behind `fuseConvFirst`, which makes the blocks.
 */
export function chainBlocks(
  graph: Graph,
  { worthFusing, pitch = (channels) => channels }: FuseBlocksOptions,
): Graph {
  const users = usersOf(graph);
  const problemOf = (node: Node): Problem => lower(node, pitch).problem;
  return rewriteGraph(graph, (node, original) => {
    const [before] = node.inputs;
    const [originalBefore] = original.inputs;
    if (!isLink(node) || !before || !originalBefore || !isOnlyReader(users, originalBefore)) return node;
    if (!(isChain(before) || isLink(before)) || !isAlike(before, node)) return node;
    const chain = append(before, node);
    return worthFusing(problemOf(chain), [before, node].map(problemOf)) ? chain : node;
  });
}

/** The blocks that a chain stands for, one after the other, each as `as` makes it; the last one. */
export function splitChain(chain: Chain, as: (block: Block) => Node = (block) => block): Node {
  const { type: _, blocks, ...rest } = chain.op;
  const op: ConvFirstOp = { ...rest, type: 'convfirst', stride: 1, outputs: chain.shape[3] };
  const numbers = Array.from({ length: blocks }, (_, block) => block);
  return numbers.reduce((x, block) => {
    const inputs = op.epilogue.residual ? [x, x] : [x];
    return as({ ...makeNode(chain.name, op, inputs, ofBlock(chain, block)), op });
  }, firstInput(chain));
}

function ofBlock({ parameters }: Chain, block: number): Node['parameters'] {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, parameter]) => {
      const [, own = '', number] = /^(\D+)(\d+)$/.exec(name) ?? [];
      return Number(number) === block ? [[own, parameter] as const] : [];
    }),
  );
}

/** Whether a node is a block that can be part of a chain: of one shape all along, its own input the only residual. */
function isLink(node: Node): node is Block {
  if (node.op.type !== 'convfirst') return false;
  const { stride, outputs, epilogue } = node.op;
  const x = firstInput(node);
  const residual = node.inputs[1];
  return (
    stride === 1 &&
    outputs === x.shape[3] &&
    epilogue.finalActivation === 'none' &&
    (residual === undefined || residual === x)
  );
}

function isChain(node: Node): node is Chain {
  return node.op.type === 'convfirst-chain';
}

/** Whether nobody but one node reads a node's output, which may be twice: as input and as residual. */
function isOnlyReader(users: Users, node: Node): boolean {
  const readers = new Set(users.get(node));
  return readers.size === 1 && !readers.has(undefined);
}

function isAlike(
  before: Block | Chain,
  { op: { type: _, stride: __, outputs: ___, ...op } }: Block,
): boolean {
  const alike = { ...before.op, ...op };
  return JSON.stringify(alike) === JSON.stringify(before.op);
}

function append(before: Block | Chain, block: Block): Node {
  const links = before.op.type === 'convfirst-chain' ? before.op.blocks : 1;
  const { type: _, stride: __, outputs: ___, ...op } = block.op;
  const parameters = {
    ...(links === 1 ? numbered(before, 0) : before.parameters),
    ...numbered(block, links),
  };
  return makeNode(
    block.name,
    { type: 'convfirst-chain', blocks: links + 1, ...op },
    [firstInput(before)],
    parameters,
  );
}

function numbered({ parameters }: Node, block: number): Node['parameters'] {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, parameter]) => [`${name}${block}`, parameter]),
  );
}
