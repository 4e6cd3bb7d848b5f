import { Failure } from '../failure/failure.js';
import type { Device } from './device.js';
import { runScript, type ScriptInput } from './run-script.js';

/** A script of ours for the host of a device. */
export interface HostScript extends ScriptInput {
  /** What it is for, as a gerund phrase: `blinking the light of crane`. */
  readonly doing: string;
  readonly script: string;
  /** Failures by exit code, for what the script can tell. */
  readonly failures?: Readonly<Record<number, (stdout: string) => Failure>>;
}

/** Runs a script on the host of a device and gives what it prints. Fails with what it says when it fails. */
export async function runOnHost(
  device: Pick<Device, 'name' | 'ssh'>,
  { doing, script, failures = {}, ...input }: HostScript,
): Promise<string> {
  const { exitCode, stdout, stderr } = await runScript(await device.ssh(), script, input);
  if (exitCode === 0) return stdout.toString('utf8');
  const known = failures[exitCode]?.(stdout.toString('utf8'));
  if (known !== undefined) throw known;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  const reason = said === '' ? `exit code ${exitCode}` : said.slice(0, 500);
  throw new Failure('failed', 'host-command-failed', `${doing}: ${reason}`, {
    hint: `See for yourself: davit ssh ${device.name}`,
  });
}
