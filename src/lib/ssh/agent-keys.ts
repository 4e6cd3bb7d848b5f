import type { BaseAgent, KnownPublicKeys, ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';

type KnownPublicKey = string | Buffer | ParsedKey;

/**
 * An SSH agent that shows only some of its keys, because servers end a connection after a few keys that they do not know.
 *
 * @param publicKeys the keys that it shows, in SSH wire format; undefined for all of them
 */
export async function agentWith(socketPath: string, publicKeys: readonly Buffer[] | undefined): Promise<BaseAgent> {
  const { default: ssh2 } = await import('ssh2');
  const agent = ssh2.createAgent(socketPath);
  if (publicKeys === undefined) return agent;
  const isShown = (key: KnownPublicKeys[number]) => publicKeys.some((one) => one.equals(wireFormat(key)));
  class SomeKeys extends ssh2.BaseAgent {
    override getIdentities(done: (error?: Error | null, keys?: KnownPublicKeys) => void): void {
      agent.getIdentities((error, keys) => {
        done(error, keys?.filter(isShown));
      });
    }

    override sign(
      key: KnownPublicKey,
      data: Buffer,
      options: SigningRequestOptions | SignCallback,
      done?: SignCallback,
    ): void {
      if (typeof options === 'function') agent.sign(key, data, options);
      else if (done !== undefined) agent.sign(key, data, options, done);
    }
  }
  return new SomeKeys();
}

function wireFormat(key: KnownPublicKeys[number]): Buffer {
  if (Buffer.isBuffer(key)) return key;
  return typeof key === 'object' && isParsedKey(key) ? key.getPublicSSH() : Buffer.alloc(0);
}

function isParsedKey(key: object): key is ParsedKey {
  return 'getPublicSSH' in key;
}
