import { digestOf } from './saved-image.js';

/** The digest by which engines know a layer on top of those below it: the chain ID of the OCI image specification. */
export function chainDigests(layers: readonly string[]): string[] {
  const chains: string[] = [];
  for (const layer of layers) {
    const below = chains.at(-1);
    chains.push(below === undefined ? layer : digestOf(Buffer.from(`${below} ${layer}`)));
  }
  return chains;
}

/**
 * Which of an image's layers lies in the folder that has this document named `json`, or undefined where that cannot be told. Engines before
 * Docker 25 save each layer in a folder that is called by the digest of this document with the layer's chain digest in it
 * (`CreateID` in moby's image/v1), so that unwanted ones can be passed over without a look inside.
 */
export function legacyLayer(document: Buffer, layers: readonly string[]): string | undefined {
  const said = members(document);
  const id = said.get('id');
  for (const name of ['id', 'os']) said.delete(name);
  const at = chainDigests(layers).findIndex((chain) => {
    const named = [...said, ['layer_id', chain]].sort(([a], [b]) => (a < b ? -1 : 1));
    return digestOf(Buffer.from(JSON.stringify(Object.fromEntries(named)))) === `sha256:${String(id)}`;
  });
  return layers[at];
}

function members(document: Buffer): Map<string, unknown> {
  try {
    const said: unknown = JSON.parse(document.toString('utf8'));
    return new Map(typeof said === 'object' && said !== null ? Object.entries(said) : []);
  } catch {
    // Then the layer is told by its content.
    return new Map();
  }
}
