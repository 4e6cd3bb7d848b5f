import { chmod } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';
import { changeSharedFile, readSharedFile } from '../platform/shared-file.js';
import { type Account, environmentAccount, parseAccount } from './account.js';

/** All accounts, and which one counts where none is named. */
export interface Accounts {
  /** Name of the account that was logged in to last. */
  readonly current: string | null;
  readonly accounts: readonly Account[];
}

const noAccounts: Accounts = { current: null, accounts: [] };

/** The accounts that the user has logged in to: `accounts.json` in davit's data folder, readable for nobody else. */
export class AccountStore {
  readonly file: string;

  constructor(file = path.join(folders.data(), 'accounts.json')) {
    this.file = file;
  }

  async read(): Promise<Accounts> {
    try {
      return parseAccounts(await readSharedFile(this.file), this.file);
    } catch (error) {
      throw error instanceof Failure ? error : whileDoing(`reading your accounts in ${this.file}`, error);
    }
  }

  /** Adds an account, or puts it in place of the one of its name; it is the one that counts from now on. */
  async add(account: Account): Promise<void> {
    await this.#change(({ accounts }) => ({
      current: account.name,
      accounts: [...accounts.filter(({ name }) => name !== account.name), account],
    }));
  }

  /** Removes an account, or the one that counts; gives its name. Fails as not found when there is none. */
  async remove(wanted: string | undefined): Promise<string> {
    let removed = '';
    await this.#change((before) => {
      removed = named(before, wanted).name;
      const accounts = before.accounts.filter(({ name }) => name !== removed);
      return { current: before.current === removed ? (accounts.at(-1)?.name ?? null) : before.current, accounts };
    });
    return removed;
  }

  async #change(change: (before: Accounts) => Accounts): Promise<void> {
    try {
      await chmod(this.file, 0o600).catch((error: unknown) => {
        if (systemErrorCode(error) !== 'ENOENT') throw error;
      });
      await changeSharedFile(this.file, (text) => {
        const changed = change(parseAccounts(text, this.file));
        return `${JSON.stringify({ version: 1, ...changed }, null, 2)}\n`;
      });
    } catch (error) {
      throw error instanceof Failure ? error : whileDoing(`changing your accounts in ${this.file}`, error);
    }
  }
}

/**
 * The account that a command is to use: the one that was named, else the one of the environment (`BALENA_API_KEY`), else the one that was
 * logged in to last; undefined where nobody is logged in. Fails as not found for a name that no account has.
 */
export async function findAccount(
  wanted: string | undefined,
  store: AccountStore = new AccountStore(),
): Promise<Account | undefined> {
  const environment = wanted === undefined ? environmentAccount() : undefined;
  if (environment !== undefined) return environment;
  const accounts = await store.read();
  return wanted === undefined && accounts.current === null ? undefined : named(accounts, wanted);
}

/** The failure for what needs an account where there is none. */
export function notLoggedIn(): Failure {
  return new Failure('permission', 'not-logged-in', 'you are not logged in to any cloud', {
    hint: 'Log in to balenaCloud with davit login, to an openBalena with davit login --api-url https://api.<its domain>; scripts set BALENA_API_KEY',
  });
}

function named({ current, accounts }: Accounts, wanted: string | undefined): Account {
  const found = accounts.find(({ name }) => name === (wanted ?? current));
  if (found !== undefined) return found;
  if (wanted === undefined) throw notLoggedIn();
  const names = accounts.map(({ name }) => name).join(', ');
  throw new Failure('not-found', 'account-unknown', `you are not logged in to an account called ${wanted}`, {
    hint: names === '' ? 'davit login makes one' : `Accounts: ${names}`,
  });
}

function parseAccounts(text: string | undefined, file: string): Accounts {
  if (text === undefined) return noAccounts;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  if (!isRecord(parsed) || parsed.version !== 1 || !Array.isArray(parsed.accounts)) {
    throw new Failure('failed', 'accounts-damaged', `${file} is damaged or was written by a later version of davit`, {
      hint: 'Remove the file and log in again: davit login',
    });
  }
  const accounts = parsed.accounts.flatMap((one: unknown) => parseAccount(one) ?? []);
  const current = accounts.find(({ name }) => name === (isRecord(parsed) ? parsed.current : null))?.name;
  return { current: current ?? accounts.at(-1)?.name ?? null, accounts };
}
