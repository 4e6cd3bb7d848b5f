import { Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { readSecret } from '../lib/cli/secret-from-flags.js';
import { tokenVariable } from '../lib/fleet/account.js';
import { logIn } from '../lib/fleet/log-in.js';

/** What `davit login --json` and `davit whoami --json` print. */
export interface LoginResult {
  readonly version: 1;
  readonly account: string;
  readonly user: string;
  readonly apiUrl: string;
}

export default class Login extends BaseCommand {
  static override summary = 'Log in to balenaCloud or an openBalena, to reach devices from outside their network.';
  static override description =
    'Takes a token or an API key, as your account makes them in its preferences: from a file, from standard input, from ' +
    'BALENA_API_KEY, or asks for it. It is kept in accounts.json in the data folder of davit, readable for you alone, and sent ' +
    'to the API and the tunnel service of that cloud only.\n\n' +
    'Nothing in your own network needs a login. Several accounts can be logged in to at once; the last one counts, unless ' +
    '--account names another one. Where BALENA_API_KEY is set, as in CI, no login is needed.';
  static override examples = [
    '<%= config.bin %> login',
    '<%= config.bin %> login --token-file - < token',
    '<%= config.bin %> login --api-url https://api.openbalena.example.com --account factory',
  ];
  static override flags = {
    'token-file': Flags.string({
      helpValue: '<file>',
      summary: 'File with the token or API key; - is standard input.',
    }),
    'api-url': Flags.string({
      helpValue: '<url>',
      summary: 'API of the cloud. [default: https://api.balena-cloud.com]',
    }),
    account: Flags.string({
      helpValue: '<name>',
      summary: 'What to call the account. [default: the domain of the cloud]',
    }),
    tunnel: Flags.string({
      helpValue: '<host>[:<port>]',
      summary: 'Tunnel service of the cloud. [default: tunnel.<its domain>]',
    }),
    'ssh-proxy': Flags.string({
      helpValue: '<host>[:<port>]',
      summary: 'SSH proxy of the cloud. [default: that of balenaCloud; an openBalena has none]',
    }),
  };

  async run(): Promise<LoginResult> {
    const { flags } = await this.parse(Login);
    const { signal, streams } = this;
    const secret = await readSecret(
      {
        what: 'token',
        flag: '--token-file',
        source: flags['token-file'],
        variable: tokenVariable,
        standIn: '',
        of: 'or API key of your account',
      },
      { streams, signal },
    );
    for (const text of secret?.warnings ?? []) this.progress({ type: 'notice', level: 'warning', text });
    const token = (await secret?.ask?.()) ?? secret?.value ?? '';
    const { 'api-url': api, 'ssh-proxy': sshProxy, account, tunnel } = flags;
    const { name, userName, apiUrl } = await logIn({ api, tunnel, sshProxy, account, token }, signal);
    this.print(`You are ${userName} at ${apiUrl}; the account is called ${name}`);
    return { version: 1, account: name, user: userName, apiUrl };
  }
}
