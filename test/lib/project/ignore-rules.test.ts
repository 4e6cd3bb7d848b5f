import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import tar from 'tar-stream';
import { listBuildContext } from '../../../src/lib/project/build-context.js';
import { parseIgnoreRules } from '../../../src/lib/project/ignore-rules.js';
import { rounds } from '../../support/campaign.js';
import { writeTree } from '../../support/file-tree.js';
import { dockerCommandMissing } from '../../support/programs.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** A server that Docker's own command takes for an engine, and that tells which files a build sends. */
async function contextListener() {
  let received: (names: readonly string[]) => void = () => undefined;
  const server = createServer((request, response) => {
    response.setHeader('API-Version', '1.41').setHeader('OSType', 'linux');
    if (request.url?.includes('/build') !== true) {
      response.end('{}');
      return;
    }
    const names: string[] = [];
    const extract = tar.extract();
    extract.on('entry', (header: { name: string }, stream, next) => {
      names.push(header.name.replace(/\/$/, ''));
      stream.on('end', next).resume();
    });
    extract.on('finish', () => {
      received(names);
      response.writeHead(500).end('{"message": "that is all"}');
    });
    request.pipe(extract);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    close: () => server.close(),
    /** What Docker sends of a folder, or undefined where it refuses the ignore file. */
    sent: async (folder: string): Promise<readonly string[] | undefined> => {
      const names = new Promise<readonly string[]>((resolve) => {
        received = resolve;
      });
      const environment = { ...process.env, DOCKER_HOST: `tcp://127.0.0.1:${port}`, DOCKER_BUILDKIT: '0' };
      const child = spawn('docker', ['build', folder], { env: environment, stdio: 'ignore' });
      const ended = once(child, 'close').then(() => undefined);
      return Promise.race([names, ended]);
    },
  };
}

const folders = ['a', 'b', 'ab', '.x', 'a.b', 'c d'];
const tree = Object.fromEntries<string>([
  ...folders.flatMap((outer) =>
    folders.flatMap((inner) => [
      [`${outer}/${inner}`, ''] as const,
      [`${outer}/${inner}d/a`, ''] as const,
      [`${outer}/${inner}d/b*`, ''] as const,
    ]),
  ),
  ...['f', 'g.txt', '.h', 'Dockerfile', '.dockerignore'].map((name) => [name, ''] as const),
]);

const parts = ['a', 'b', 'ab', 'ad', 'bd', '.xd', '*', '**', '?', 'a*', '*b', '[ab]', '[^a]', '[a-c]*', '.*', '*.b'];
const rareParts = ['a.b', 'c d', '**a', 'a**', 'b\\*', '$', '(a)', '+a', '{a,b}', 'a]'];

/**
 * Docker's classic builder looks into an ignored folder only where an exception begins with the folder's very name; BuildKit, whose rules
 * are those of the documentation, and davit look wherever an exception may match.
 */
function asClassicBuilder(
  ours: readonly string[],
  isIgnored: (path: string) => boolean,
  text: string,
): readonly string[] {
  const exceptions = text.split('\n').flatMap((line) => {
    const found = /^!(.*)$/.exec(line.trim())?.[1]?.trim();
    return found === undefined ? [] : [`${path.posix.normalize(found).replace(/^\/|\/$/g, '')}/`];
  });
  return ours.filter((name) => {
    // What is above something wanted it leaves to the engine to make.
    if (isIgnored(name)) return false;
    const above = name.split('/').map((_, index, all) => all.slice(0, index).join('/'));
    return above
      .filter((folder) => folder !== '' && isIgnored(folder))
      .every((folder) => exceptions.some((exception) => exception.startsWith(`${folder}/`)));
  });
}

describe('ignore rules', () => {
  it('say which line is no pattern', () => {
    for (const line of ['[b', 'a/[', '[]', '!', 'a\\', '[-a]']) {
      assert.throws(() => parseIgnoreRules(`a\n\n${line}`, '.dockerignore'), {
        kind: 'usage',
        code: 'invalid-dockerignore',
        message: /line 3/,
      });
    }
  });

  it('take a backslash for the letter behind it, and these letters for themselves', () => {
    const { ignores } = parseIgnoreRules('\\a\nb|c\n(d)\ne+', 'x');
    assert.deepEqual(['a', 'b|c', '(d)', 'e+'].map(ignores), [true, true, true, true]);
    assert.deepEqual(['b', 'c', 'd', 'ee'].map(ignores), [false, false, false, false]);
  });
});

describe('a build context and what the docker command sends', { skip: dockerCommandMissing }, () => {
  let listener: Awaited<ReturnType<typeof contextListener>>;
  before(async () => {
    listener = await contextListener();
  });
  after(() => listener.close());

  it('are the same for random ignore files', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, tree);
    const random = seededRandom(11);
    for (let round = 0; round < rounds(40, 2000); round += 1) {
      const line = () => {
        const words = Array.from({ length: 1 + random.below(3) }, () =>
          random.pick(random.below(6) === 0 ? rareParts : parts),
        );
        return `${random.pick(['', '', '!', '! ', ' ', '#'])}${random.pick(['', '', '/', './'])}${words.join('/')}${random.pick(['', '', '/', ' '])}`;
      };
      const text = Array.from({ length: 1 + random.below(4) }, line).join('\n');
      await rm(path.join(folder, '.dockerignore'));
      await writeFile(path.join(folder, '.dockerignore'), text);
      const theirs = await listener.sent(folder);
      const ours = await contextOf(folder, text).catch(() => undefined);
      assert.deepEqual(ours && [...ours].sort(), theirs && [...new Set(theirs)].sort(), JSON.stringify(text));
    }
  });
});

async function contextOf(folder: string, text: string): Promise<readonly string[]> {
  const rules = parseIgnoreRules(text, '.dockerignore');
  const always = ['Dockerfile', '.dockerignore'];
  const { paths } = await listBuildContext({ folder, rules, alwaysIncluded: always });
  return [...new Set([...asClassicBuilder(paths, rules.ignores, text), ...always])];
}
