import { BaseCommand } from '../lib/cli/base-command.js';
import { accountFlags } from '../lib/cli/account-flags.js';
import { findAccount, notLoggedIn } from '../lib/fleet/account-store.js';
import { whoAmI } from '../lib/fleet/log-in.js';
import type { LoginResult } from './login.js';

export default class Whoami extends BaseCommand {
  static override summary = 'Ask the cloud who you are logged in as.';
  static override examples = ['<%= config.bin %> whoami', '<%= config.bin %> whoami --account factory --json'];
  static override flags = { ...accountFlags };

  async run(): Promise<LoginResult> {
    const { flags } = await this.parse(Whoami);
    const account = await findAccount(flags.account);
    if (account === undefined) throw notLoggedIn();
    const user = await whoAmI(account, this.signal);
    this.print(`You are ${user} at ${account.apiUrl}; the account is called ${account.name}`);
    return { version: 1, account: account.name, user, apiUrl: account.apiUrl };
  }
}
