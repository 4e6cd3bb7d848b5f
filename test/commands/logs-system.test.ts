import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile, readFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { davit, davitJson, startDavit } from '../support/davit.js';
import { startLiveDevice } from '../support/live-device.js';
import { freePort, sshServerSkipReason } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/**
 * Stands in for journalctl: the entries of /run/journal, in the form of systemd.journal-fields(7) and systemd's JSON. It takes the options
 * that davit uses, and refuses others.
 */
const journalctl = `#!/bin/sh
from=1 follow= order=cat
for word; do
  case $word in
    --output=json|--no-pager|--quiet|--lines=all) ;;
    --lines=0) from=$(($(wc -l < /run/journal) + 1)) ;;
    --after-cursor=*) from=$(($(grep -nF "\\"\${word#*=}\\"" /run/journal | cut -d: -f1) + 1)) ;;
    --since=@0) ;;
    --since=@*) from=$(($(wc -l < /run/journal) + 1)) ;;
    --follow) follow=1 ;;
    --reverse) order=tac ;;
    *) echo "unrecognized option '$word'" >&2; exit 1 ;;
  esac
done
echo $$ > /run/journal-reader
[ -z "$follow" ] || exec tail -n "+$from" -f /run/journal
tail -n "+$from" /run/journal | $order
`;

/** A moment of which the tests' entries are some seconds later. */
const startSeconds = 1_772_366_400;

function entry(number: number, fields: Readonly<Record<string, unknown>>): string {
  const numbers = { __CURSOR: `s=5f;i=${number}`, __REALTIME_TIMESTAMP: `${startSeconds + number}000${number}00` };
  return `${JSON.stringify({ ...numbers, PRIORITY: '6', ...fields })}\n`;
}

const entries = [
  entry(1, { SYSLOG_IDENTIFIER: 'kernel', MESSAGE: 'Linux version' }),
  entry(2, { _COMM: 'mount', MESSAGE: 'failed', PRIORITY: '3' }),
  // What is not all text comes as its bytes.
  entry(3, { SYSLOG_IDENTIFIER: 'dnsmasq', MESSAGE: [...Buffer.from('\x1b[1mbold ü')] }),
  ...[4, 5, 6, 7].map((number) => entry(number, { CONTAINER_ID: 'abc', MESSAGE: 'of a container' })),
];

describe('logs --system', { skip: sshServerSkipReason(), timeout: 120_000 }, () => {
  async function device(t: TestContext) {
    const live = await startLiveDevice(t, { boot: { 'config.json': '{}' }, programs: { journalctl } });
    await live.write('/run/journal', entries.join(''));
    const HOME = await temporaryFolder(t);
    const way = ['--port', String(live.server.port), '--identity', live.server.identityFile];
    const words = ['logs', '127.0.0.1', '--system', '--engine-port', String(await freePort()), ...way];
    const options = { environment: { HOME, DAVIT_DATA_DIR: HOME, SSH_AUTH_SOCK: undefined } };
    return { live, words, options, say: (...lines: string[]) => appendFile(live.file('/run/journal'), lines.join('')) };
  }

  it('prints the journal without what containers print, and the last lines of that', async (t) => {
    const { words, options } = await device(t);
    const all = await davit(words, options);
    assert.equal(all.stdout, 'kernel: Linux version\nmount: failed\ndnsmasq: \x1b[1mbold ü\n', all.stderr);
    const { document } = await davitJson([...words, '--tail', '2'], options);
    assert.deepEqual(
      listAt(document, 'lines').map((line) =>
        ['source', 'stream', 'time'].map((name) => String(valueAt(line, name))).join(' '),
      ),
      ['system stderr 2026-03-01T12:00:02.000200000Z', 'system stdout 2026-03-01T12:00:03.000300000Z'],
    );
    assert.equal((await davit([...words, '--since', '1m'], options)).stdout, '');
  });

  it('goes on through a journalctl that ended with the system, without a gap or a repeated line', async (t) => {
    const { live, words, options, say } = await device(t);
    const child = startDavit([...words, '--follow', '--tail', '1'], options);
    t.after(() => child.kill('SIGKILL'));
    let text = '';
    let complaints = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (complaints += chunk));
    const printed = async (lines: string) => {
      while (text !== lines) {
        assert.ok(child.exitCode === null && !t.signal.aborted, `${text}\n${complaints}`);
        await sleep(20);
      }
    };
    const bold = 'dnsmasq: \x1b[1mbold ü\n';
    await printed(bold);
    await say(entry(8, { _COMM: 'a', MESSAGE: 'one' }));
    await printed(`${bold}a: one\n`);
    process.kill(Number(await readFile(live.file('/run/journal-reader'), 'utf8')), 'SIGTERM');
    await say(entry(9, { CONTAINER_ID: 'abc', MESSAGE: 'no' }), entry(10, { _COMM: 'a', MESSAGE: 'two' }));
    await printed(`${bold}a: one\na: two\n`);
    child.kill('SIGINT');
    if (child.exitCode === null) await once(child, 'close');
    assert.equal(child.exitCode, 130);
  });

  it('says what journalctl complains about', async (t) => {
    const { live, words, options } = await device(t);
    await live.write('/run/journal', '');
    const broken = await startLiveDevice(t, {
      boot: { 'config.json': '{}' },
      programs: { journalctl: '#!/bin/sh\necho "No journal files were opened" >&2; exit 1\n' },
    });
    assert.equal((await davit(words, options)).stdout, '');
    const way = ['--port', String(broken.server.port), '--identity', broken.server.identityFile];
    const { exitCode, stderr } = await davit(['logs', 'localhost', '--system', ...way], options);
    assert.equal(exitCode, 5);
    assert.match(stderr, /reading the journal of .*: No journal files were opened/);
  });
});
