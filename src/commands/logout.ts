import { BaseCommand } from '../lib/cli/base-command.js';
import { accountFlags } from '../lib/cli/account-flags.js';
import { AccountStore } from '../lib/fleet/account-store.js';

/** What `davit logout --json` prints. */
export interface LogoutResult {
  readonly version: 1;
  readonly account: string;
}

export default class Logout extends BaseCommand {
  static override summary = 'Forget the token of an account.';
  static override description =
    'The token itself stays valid until it expires or is revoked in the preferences of the account.';
  static override examples = ['<%= config.bin %> logout', '<%= config.bin %> logout --account factory'];
  static override flags = { ...accountFlags };

  async run(): Promise<LogoutResult> {
    const { flags } = await this.parse(Logout);
    const account = await new AccountStore().remove(flags.account);
    this.print(`Forgot the token of ${account}`);
    return { version: 1, account };
  }
}
