import { type JsonNode, readJsonSyntax } from './json-syntax.js';
import type { Path } from './problem.js';

/**
 * A JSON text, or the value at a path of it, laid out for people: a line for each value, with numbers and escapes as they are written. A
 * text that has several lines stays as it is. Undefined where nothing is at the path.
 */
export function laidOutJson(text: string, path: Path = []): string | undefined {
  const root = readJsonSyntax(text);
  const node = 'problem' in root ? undefined : nodeAt(root, path);
  if (node === undefined) return undefined;
  const own = text.slice(node.start, node.end);
  return own.includes('\n') && path.length === 0 ? own : lines(text, node, '');
}

function nodeAt(root: JsonNode, path: Path): JsonNode | undefined {
  let node: JsonNode | undefined = root;
  for (const part of path) {
    if (node?.kind === 'list') node = node.items[Number(part)];
    else if (node?.kind === 'object') node = node.members.findLast(({ key }) => key === String(part))?.value;
    else return undefined;
  }
  return node;
}

function lines(text: string, node: JsonNode, indent: string): string {
  if (node.kind === 'scalar') return text.slice(node.start, node.end);
  const [open, close] = node.kind === 'list' ? ['[', ']'] : ['{', '}'];
  const within = `${indent}  `;
  const parts =
    node.kind === 'list'
      ? node.items.map((item) => lines(text, item, within))
      : node.members.map(({ key, value }) => `${JSON.stringify(key)}: ${lines(text, value, within)}`);
  return parts.length === 0
    ? open + close
    : `${open}\n${parts.map((part) => within + part).join(',\n')}\n${indent}${close}`;
}
