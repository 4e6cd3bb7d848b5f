import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { type Account, checkedToken, type CloudAddresses, cloudAddresses, usualAccountName } from './account.js';
import { AccountStore } from './account-store.js';
import { answerFailure, cloudJson } from './cloud-api.js';

/** A login as the user asks for it. */
export interface LoginRequest extends CloudAddresses {
  /** Name of the account; the domain of the cloud without it. */
  readonly account?: string | undefined;
  /** A session token or an API key of a user. */
  readonly token: string;
}

/** Logs in: keeps the token when the API says whose it is. The account is the one that counts from now on. */
export async function logIn(
  request: LoginRequest,
  signal: AbortSignal,
  store: AccountStore = new AccountStore(),
): Promise<Account & { readonly userName: string }> {
  const addresses = cloudAddresses(request);
  const name = request.account ?? usualAccountName(addresses.apiUrl);
  const token = checkedToken(request.token);
  const userName = await whoAmI({ name, ...addresses, userName: null, token }, signal);
  const account = { name, ...addresses, userName, token };
  await store.add(account);
  return account;
}

/** The name of the user whose token an account has, as the API says (`GET /actor/v1/whoami`). */
export async function whoAmI(account: Account, signal: AbortSignal): Promise<string> {
  const actor = await cloudJson(account, '/actor/v1/whoami', signal);
  if (!isRecord(actor)) throw answerFailure(account, 'it does not say who you are');
  if (actor.actorType === 'user' && typeof actor.username === 'string') return actor.username;
  throw new Failure('permission', 'not-a-user', `this is not a token of a user but one of a ${kindOf(actor)}`, {
    hint: 'Make a token or API key in the preferences of your account',
  });
}

function kindOf({ actorType }: Record<string, unknown>): string {
  return actorType === 'application' ? 'fleet' : actorType === 'device' ? 'device' : 'machine';
}
