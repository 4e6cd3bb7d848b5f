import { Flags } from '@oclif/core';
import type { SourceCheckRequest } from '../image/source-checks.js';

const helpGroup = 'SOURCE CHECK';

/** Flags of every command that reads an image and can tell whether it is the right one. */
export const sourceCheckFlags = {
  hash: Flags.boolean({ helpGroup, summary: 'Tell the SHA-256 of the unpacked image in the result.' }),
  sha256: Flags.string({
    helpGroup,
    helpValue: '<hex>',
    summary: 'The SHA-256 that the image has to have, as it is or unpacked.',
  }),
  checksums: Flags.string({
    helpGroup,
    helpValue: '<file|url|auto|none>',
    summary: 'The list that has the SHA-256 of the image; "auto" looks beside the image, "none" looks nowhere.',
    description:
      'Beside a file, <file>.sha256, <file>.sha256sum and SHA256SUMS are used without being asked for. For a URL they are ' +
      'asked for with "auto" only.',
  }),
  'minisign-key': Flags.string({
    helpGroup,
    helpValue: '<file|base64>',
    summary: 'Public key of minisign that has to have signed the image or its list of checksums.',
  }),
  'gpg-key': Flags.string({
    helpGroup,
    helpValue: '<file>',
    summary: 'OpenPGP public keys, one of which has to have signed the image or its list of checksums.',
  }),
  signature: Flags.string({
    helpGroup,
    helpValue: '<file|url>',
    summary: 'The signature, where it does not lie beside what is signed.',
    description: 'With a list named by --checksums it is the signature of that list, otherwise that of the image.',
  }),
};

/** The values of `sourceCheckFlags` after parsing. */
export interface SourceCheckFlagValues {
  readonly sha256?: string | undefined;
  readonly checksums?: string | undefined;
  readonly 'minisign-key'?: string | undefined;
  readonly 'gpg-key'?: string | undefined;
  readonly signature?: string | undefined;
}

/** What the flags ask for. */
export function sourceCheckRequest(flags: SourceCheckFlagValues): SourceCheckRequest {
  const { sha256, checksums, signature } = flags;
  return { sha256, checksums, signature, minisignKey: flags['minisign-key'], gpgKey: flags['gpg-key'] };
}
