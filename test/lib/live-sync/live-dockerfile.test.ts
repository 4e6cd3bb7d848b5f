import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { baseImageOf, dockerfileRules, liveDockerfile } from '../../../src/lib/live-sync/live-dockerfile.js';
import { syncTarget } from '../../../src/lib/live-sync/sync-rule.js';

const facts = { buildArguments: {}, base: undefined };

/** Where a file goes, with what follows, by the rules of a Dockerfile. */
function targetsOf(
  dockerfile: readonly string[],
  file: string,
  more: Partial<Parameters<typeof dockerfileRules>[1]> = {},
) {
  const rules = dockerfileRules(liveDockerfile(dockerfile.join('\n')), { ...facts, ...more });
  return rules.flatMap((rule) => {
    const target = syncTarget(rule, file, 'file');
    if (target === undefined) return [];
    if (rule.needsBuild !== undefined) return [`build: ${rule.origin}`];
    const where = target.pathInFolder === undefined ? target.path : `${target.path} or ${target.pathInFolder}`;
    return [[where, ...rule.runs.map(({ origin }) => origin), ...(rule.restarts ? ['restart'] : [])].join(', ')];
  });
}

describe('the COPYs of a Dockerfile', () => {
  const node = [
    'FROM node',
    'WORKDIR /usr/src/app',
    'COPY package*.json ./',
    'RUN npm ci',
    'COPY . ./',
    'CMD ["npm", "start"]',
  ];

  it('say where a file goes, and what has to run after it', () => {
    assert.deepEqual(targetsOf(node, 'src/index.js'), ['/usr/src/app/src/index.js, restart']);
    assert.deepEqual(targetsOf(node, 'package.json'), [
      '/usr/src/app/package.json, line 4, restart',
      '/usr/src/app/package.json, restart',
    ]);
  });

  for (const [copy, file, expected] of [
    ['COPY a /b', 'a', '/b or /b/a'],
    ['COPY a /b', 'a/c', '/b/c'],
    ['COPY a /b/', 'a', '/b/a'],
    ['COPY /a b', 'a', '/srv/b or /srv/b/a'],
    ['COPY ./a/ .', 'a/b/c', '/srv/b/c'],
    ['COPY a c /b', 'c', '/b/c'],
    ['COPY ["a b", "/c d/"]', 'a b', '/c d/a b'],
    ['COPY "a b" \'/c d/\'', 'a b', '/c d/a b'],
    ['COPY a\\ b /c/', 'a b', '/c/a b'],
    ['COPY *.js /b/', 'x.js', '/b/x.js'],
    ['COPY *.js /b/', 'y/x.js', undefined],
    ['COPY src/[ab]? /b/', 'src/a1', '/b/a1'],
    ['COPY src/[^ab]? /b/', 'src/a1', undefined],
    ['COPY s* /b/', 'src/a1', '/b/a1'],
    ['COPY $WHERE /b/', 'here/x', '/b/x'],
    ['COPY a ${TO:-/else}/', 'a', '/else/a'],
    ['COPY a ${WHERE:+/set}/', 'a', '/set/a'],
    ['COPY --link --chown=1:2 a /b/', 'a', '/b/a'],
    ['COPY --from=other a /b', 'a', undefined],
  ] as const) {
    it(`${copy} puts ${file} ${expected === undefined ? 'nowhere' : `at ${expected}`}`, () => {
      const targets = targetsOf(['FROM a', 'ENV WHERE=here', 'WORKDIR /srv', copy], file);
      assert.deepEqual(targets, expected === undefined ? [] : [`${expected}, restart`]);
    });
  }

  for (const [copy, file] of [
    ['ADD a.tar /b', 'a.tar'],
    ['COPY --parents a/b /c', 'a/b'],
    ['COPY $UNKNOWN /b', 'any'],
    ['COPY a /$UNKNOWN', 'a'],
  ] as const) {
    it(`${copy} needs a build`, () => {
      assert.deepEqual(targetsOf(['FROM a', copy], file), ['build: line 2']);
    });
  }

  it('of another stage need a build, and those of the stages below count', () => {
    const stages = [
      'FROM golang AS build',
      'COPY src src',
      'RUN make',
      'FROM alpine AS base',
      'COPY etc /etc',
      'FROM base',
      'COPY --from=build out /out',
      'COPY www /www',
      'FROM other',
      'COPY src /never',
    ];
    const target = { target: '2' };
    assert.deepEqual(targetsOf(stages, 'src/a.go', target), ['build: line 2']);
    assert.deepEqual(targetsOf(stages, 'etc/x', target), ['/etc/x, restart']);
    assert.deepEqual(targetsOf(stages, 'www/x', target), ['/www/x, restart']);
    assert.deepEqual(targetsOf(stages, 'src/a.go'), ['build: line 2', '/never/a.go, restart']);
  });

  it('begin in the folder of the image that they go on from', () => {
    const base = { workingFolder: '/home/node', user: 'node', environment: { A: 'b' } };
    const dockerfile = ['ARG V=20', 'FROM node:$V', 'COPY . $A', 'RUN make'];
    assert.deepEqual(targetsOf(dockerfile, 'x', { base }), ['/home/node/b/x, line 4, restart']);
    assert.equal(baseImageOf(dockerfile.join('\n'), facts), 'node:20');
    const rules = dockerfileRules(dockerfile.join('\n'), { ...facts, base });
    assert.deepEqual(rules[0]?.runs, [
      {
        origin: 'line 4',
        command: ['/bin/sh', '-c', 'make'],
        user: 'node',
        workingFolder: '/home/node',
        environment: { A: 'b' },
      },
    ]);
  });
});

describe('the directives of a Dockerfile', () => {
  const live = [
    'FROM node AS base',
    '#dev-env=NODE_ENV=development',
    '#dev-run=npm i -g nodemon',
    'WORKDIR /app',
    'COPY package.json .',
    'RUN npm ci',
    '#dev-cmd-live=nodemon src',
    'COPY . .',
    'RUN npm run \\',
    '  build',
    'CMD node dist',
    'FROM scratch',
    'COPY --from=base /app /app',
  ];

  it('add steps and replace the program, line for line', () => {
    assert.deepEqual(liveDockerfile(live.join('\n')).trimEnd().split('\n'), [
      'FROM node AS base',
      'ENV NODE_ENV=development',
      'RUN npm i -g nodemon',
      'WORKDIR /app',
      'COPY package.json .',
      'RUN npm ci',
      '#dev-cmd-live=nodemon src',
      'COPY . .',
      '# RUN npm run \\',
      '#   build',
      '# CMD node dist',
      'CMD nodemon src',
    ]);
  });

  it('leave the container running for what is copied after them', () => {
    assert.deepEqual(targetsOf(live, 'src/a.js'), ['/app/src/a.js']);
    assert.deepEqual(targetsOf(live, 'package.json'), ['/app/package.json, line 6, restart', '/app/package.json']);
  });

  it('may add a copy', () => {
    assert.deepEqual(targetsOf(['FROM a', '#dev-copy=dev.json /etc/'], 'dev.json'), ['/etc/dev.json, restart']);
  });

  it('change nothing where there are none', () => {
    const text = 'FROM a\r\n# a comment\r\nCOPY . /\r\n';
    assert.equal(liveDockerfile(text), text);
  });
});
