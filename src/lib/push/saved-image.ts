import { createHash } from 'node:crypto';
import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';

/** What the documents of a saved image say. */
export interface SavedImage {
  /** Its configuration, byte for byte; the image's ID is its digest. */
  readonly configuration: Buffer;
  readonly id: string;
  /** Digests of its unpacked layers (`sha256:…`), the lowest first. */
  readonly layers: readonly string[];
  /** As Go calls them: `linux`; `amd64`, `arm64`, `arm`; `v7`, `v6`, or empty where there is one only. */
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

/** Documents of an archive by the names of their files. */
export type SavedDocuments = ReadonlyMap<string, Buffer>;

/**
 * Finds the one image in what `docker save` wrote (manifest.json) or in an OCI image layout (index.json).
 *
 * @param name what the user calls the archive, for messages
 */
export function savedImage(documents: SavedDocuments, name: string): SavedImage {
  const file = configurationFile(documents, name);
  const configuration = documents.get(file);
  if (configuration === undefined) throw notAnImage(name, `it has no ${file}`);
  const said = parsed(configuration, file, name);
  const layers = isRecord(said) && isRecord(said.rootfs) ? said.rootfs.diff_ids : undefined;
  if (!isRecord(said) || !Array.isArray(layers)) throw notAnImage(name, `${file} names no layers`);
  const text = (key: string) => (typeof said[key] === 'string' ? said[key] : '');
  return {
    configuration,
    id: digestOf(configuration),
    layers: layers.map(String),
    os: text('os') || 'linux',
    architecture: text('architecture'),
    variant: text('variant'),
  };
}

/** `sha256:…` of some bytes, as images name their parts. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function configurationFile(documents: SavedDocuments, name: string): string {
  const manifest = documents.get('manifest.json');
  if (manifest !== undefined) {
    const images: unknown = parsed(manifest, 'manifest.json', name);
    const [first, ...more] = Array.isArray(images) ? images.filter(isRecord) : [];
    if (more.length > 0) throw severalImages(name, more.length + 1);
    if (typeof first?.Config === 'string') return first.Config;
    throw notAnImage(name, 'its manifest.json names no image');
  }
  if (!documents.has('index.json')) throw notAnImage(name, 'it has neither manifest.json nor index.json');
  return ociConfigurationFile(documents, 'index.json', name);
}

/** An index may lead to another one, and beside the image it may have notes on how that was built. */
function ociConfigurationFile(documents: SavedDocuments, file: string, name: string): string {
  const document = documents.get(file);
  const said = document === undefined ? undefined : parsed(document, file, name);
  if (!isRecord(said)) throw notAnImage(name, `it has no ${file}`);
  if (isRecord(said.config)) return blobFile(said.config, name);
  const [first, ...more] = (Array.isArray(said.manifests) ? said.manifests : []).filter(isImage);
  if (more.length > 0) throw severalImages(name, more.length + 1);
  if (first === undefined) throw notAnImage(name, `${file} names no image`);
  return ociConfigurationFile(documents, blobFile(first, name), name);
}

function isImage(entry: unknown): entry is Record<string, unknown> {
  const platform = isRecord(entry) ? entry.platform : undefined;
  return isRecord(entry) && !(isRecord(platform) && platform.os === 'unknown');
}

function blobFile(descriptor: Record<string, unknown>, name: string): string {
  const digest = typeof descriptor.digest === 'string' ? descriptor.digest : '';
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (hex === undefined) throw notAnImage(name, `"${digest}" is no digest`);
  return `blobs/sha256/${hex}`;
}

function parsed(document: Buffer, file: string, name: string): unknown {
  try {
    return JSON.parse(document.toString('utf8'));
  } catch (error) {
    throw notAnImage(name, `its ${file} is no JSON`, error);
  }
}

function severalImages(name: string, count: number): Failure {
  return new Failure('usage', 'image-ambiguous', `${name} has ${count} images`, {
    hint: 'Save the one that is meant for the device: docker save --output image.tar <image>',
  });
}

/** The failure of something that is no image, or not a whole one. */
export function notAnImage(name: string, reason: string, cause?: unknown): Failure {
  return new Failure('refused', 'not-a-container-image', `${name} is no saved container image: ${reason}`, {
    hint: 'Give what docker save, or docker buildx build --output type=oci, has written',
    cause,
  });
}
