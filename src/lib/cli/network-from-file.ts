import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { connectionFile, looksLikeKeyfile } from '../boot-config/connection-file.js';
import { askSecret, requireTerminal } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { readUserFile } from '../platform/read-user-file.js';

/** The network in a file, as a request that puts it in: a key file, which is taken to the byte as it is, or YAML as a profile has it. */
export async function networkFromFile(
  name: string,
  file: string,
  { streams, signal }: { readonly streams: Streams; readonly signal: AbortSignal },
): Promise<BootConfigurationRequest> {
  const content = await readUserFile(file, { what: 'the network', signal });
  if (looksLikeKeyfile(content.bytes)) return { connections: [connectionFile(name, content.bytes, file)] };
  const { readProfileText } = await import('../boot-config/profile.js');
  const { request, questions, ask } = await readProfileText(file, content, { signal, network: name });
  const [message] = questions;
  if (message === undefined || ask === undefined) return request;
  const insteadOfAsking = 'it by an environment variable or a file: ${NAME} or file: in place of prompt:';
  requireTerminal({ message, insteadOfAsking, signal }, streams);
  return { ...request, later: () => ask((one) => askSecret({ message: one, insteadOfAsking, signal }, streams)) };
}
