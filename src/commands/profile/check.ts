import { Args } from '@oclif/core';
import { pointerTo } from '../../lib/boot-config/problem.js';
import { readProfile } from '../../lib/boot-config/profile.js';
import { BaseCommand } from '../../lib/cli/base-command.js';

/** What `davit profile check --json` prints of a good profile. */
interface CheckedProfile {
  readonly version: 1;
  readonly profile: string;
  readonly keys: readonly string[];
  readonly networks: readonly string[];
  /** Fields that only a unit of a batch has values for. */
  readonly unitFields: readonly string[];
  /** JSON pointers to the values that will be asked for; what depends on them is not checked. */
  readonly questions: readonly string[];
  /** SSH keys that will be fetched: `github:alice`; whether they are there is not checked. */
  readonly fetches: readonly string[];
  readonly warnings: readonly string[];
}

export default class ProfileCheck extends BaseCommand {
  static override summary = 'Check a profile and everything that it refers to.';

  static override description =
    'Reads the profile, the files and the environment variables that it names, and tells all mistakes at once with file, line and ' +
    'column. Asks nothing and needs no image: what depends on the OS is checked when it is used.';

  static override examples = ['<%= config.bin %> <%= command.id %> kiosk.yaml'];

  static override args = { profile: Args.string({ required: true, description: 'Profile to check.' }) };

  async run(): Promise<CheckedProfile> {
    const { args } = await this.parse(ProfileCheck);
    const { request, keys, networks, unitFields, open, fetches } = await readProfile(args.profile, {
      signal: this.signal,
      isOffline: true,
    });
    const { warnings = [] } = request;
    const questions = open.map(pointerTo);
    for (const text of warnings) this.progress({ type: 'notice', level: 'warning', text });
    this.print(`${args.profile} is good: ${keys.length === 0 ? 'it says nothing' : keys.join(', ')}`);
    if (networks.length > 0) this.print(`Networks: ${networks.join(', ')}`);
    if (questions.length > 0) this.print(`Will be asked for: ${questions.join(', ')}`);
    if (fetches.length > 0) this.print(`Will be fetched: ${fetches.join(', ')}`);
    if (unitFields.length > 0) this.print(`Only for units of a batch: it needs ${unitFields.join(', ')}`);
    return { version: 1, profile: args.profile, keys, networks, unitFields, questions, fetches, warnings };
  }
}
