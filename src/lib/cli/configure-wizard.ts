import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { type BootConfigurationRequest, withStandIns } from '../boot-config/boot-configuration-request.js';
import {
  type ConfigurationAnswers,
  flagsOfAnswers,
  profileTextOfAnswers,
  requestOfAnswers,
} from '../boot-config/configuration-answers.js';
import type { ConfiguredImage, ConfigureTarget } from '../boot-config/configure-image.js';
import { configuredName } from '../boot-config/configured-name.js';
import { Failure } from '../failure/failure.js';
import { bootConfigurationLines, osText } from '../output/boot-configuration-text.js';
import { askText, askWhich, askYesNo } from '../output/prompts.js';
import { DraftFile } from '../platform/draft-file.js';
import { shellWord } from '../platform/shell-word.js';
import type { ProgressListener } from '../platform/progress.js';
import { askConfiguration, type AskContext, insteadOfAsking } from './ask-configuration.js';

/** What is to be configured by asking. */
export interface WizardOptions extends AskContext {
  readonly image: string;
  /** What flags, environment and profile say; the answers come over it. */
  readonly request: BootConfigurationRequest;
  /** Finds out what a request would change in the image. */
  readonly plan: (request: BootConfigurationRequest) => Promise<ConfiguredImage>;
  /** Where the flags say that the result goes; undefined to be asked. */
  readonly target: ConfigureTarget | undefined;
  /** Whether nothing will be written whatever is answered, so that no profile has to be named. */
  readonly isDryRun: boolean;
  /** The command line up to here, for one that does the same without asking. */
  readonly words: readonly string[];
  readonly progress: ProgressListener;
}

/** What was asked for. */
export interface Asked {
  readonly request: BootConfigurationRequest;
  readonly target: ConfigureTarget;
  /** The profile to be saved once the image is configured. */
  readonly profile: { readonly file: string; readonly text: string } | undefined;
  /** How to do the same again without being asked. */
  readonly lines: readonly string[];
}

/**
 * Asks what to configure, shows what that would change, and asks where it goes. Writes nothing. Fails with `interrupted` after Ctrl-C and where
 * the user wants none of it.
 */
export async function askWhatToConfigure(options: WizardOptions): Promise<Asked> {
  const { image, plan, streams, progress } = options;
  const under = withStandIns(options.request);
  const tell = (line: string) => streams.stderr.write(`${line}\n`);
  // Nobody is asked about an image that cannot be configured.
  tell(osText(await plan({ under })));
  tell('Ctrl-C leaves everything as it is.');
  const answers = await askConfiguration(image, options);
  const answered = await requestOfAnswers(answers);
  const planned = await plan({ ...answered, under });
  for (const line of ['', ...bootConfigurationLines(planned), '']) tell(line);
  for (const text of planned.warnings) progress({ type: 'notice', level: 'warning', text });
  const target = options.target ?? (await askTarget(image, options));
  const profile = options.isDryRun ? undefined : await askProfile(image, answers, options);
  const more = options.target === undefined ? targetWords(target) : [];
  return {
    request: { ...answered, under: options.request },
    target,
    profile,
    lines: await againLines(options.words, answers, profile?.file, more),
  };
}

/** Saves the profile of what was asked for. */
export async function saveProfile({ file, text }: NonNullable<Asked['profile']>): Promise<void> {
  const draft = await DraftFile.begin(file, { mayOverwrite: false });
  try {
    await draft.handle.writeFile(text);
    await draft.complete();
  } finally {
    await draft.discard();
  }
}

async function askTarget(image: string, { streams, signal }: AskContext): Promise<ConfigureTarget> {
  if (statSync(image).isBlockDevice()) return { kind: 'in-place' };
  const asking = { insteadOfAsking: '--output <file> or --in-place', signal };
  const usual = configuredName(image);
  const answer = await askWhich(
    {
      ...asking,
      message: 'Where does it go?',
      choices: [
        ...(existsSync(usual) ? [] : [{ value: 'usual', name: `A new file: ${usual}` }]),
        { value: 'other', name: 'A new file with another name' },
        { value: 'in-place', name: `Into the image itself: ${image}` },
        { value: 'nowhere', name: 'Nowhere: leave everything as it is' },
      ],
    },
    streams,
  );
  if (answer === 'nowhere') throw new Failure('interrupted', 'declined', 'nothing was written');
  if (answer === 'in-place') return { kind: 'in-place' };
  const file =
    answer === 'usual' ? undefined : await askText({ ...asking, message: 'Name:', objection: isTaken }, streams);
  return { kind: 'new-file', path: file, mayOverwrite: false };
}

function targetWords(target: ConfigureTarget): string[] {
  if (target.kind === 'in-place') return ['--in-place'];
  return target.kind === 'new-file' && target.path !== undefined ? [`--output=${target.path}`] : [];
}

async function askProfile(
  image: string,
  answers: ConfigurationAnswers,
  { streams, signal }: AskContext,
): Promise<Asked['profile']> {
  if (Object.keys(answers).length === 0) return undefined;
  const asking = { insteadOfAsking, signal };
  const isYesByDefault = flagsOfAnswers(answers) === undefined;
  const message = 'Save the answers as a profile, for further images?';
  if (!(await askYesNo({ ...asking, message, isYesByDefault }, streams))) return undefined;
  const proposal = `${path.parse(image).name}.yaml`;
  const file = await askText(
    { ...asking, message: 'Profile:', ...(existsSync(proposal) ? {} : { proposal }), objection: isTaken },
    streams,
  );
  return { file, text: await profileTextOfAnswers(answers) };
}

function isTaken(file: string): string | undefined {
  if (file === '') return 'It needs a name.';
  return existsSync(file) ? 'There is a file of this name.' : undefined;
}

async function againLines(
  words: readonly string[],
  answers: ConfigurationAnswers,
  profile: string | undefined,
  more: readonly string[],
): Promise<string[]> {
  const flags = profile === undefined ? flagsOfAnswers(answers) : [`--profile=${profile}`];
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  const rest = end < 0 ? [] : words.slice(end);
  const command = (added: readonly string[]) => [...own, ...added, ...more, ...rest].map(shellWord).join(' ');
  const asksForKey = answers.wifi?.key !== undefined;
  const inProfile = await profileTextOfAnswers(answers);
  return [
    'The same again, without these questions:',
    ...(flags === undefined
      ? [`${command(['--profile=/dev/stdin'])} <<'END'`, ...inProfile.trimEnd().split('\n'), 'END']
      : [`  ${command(flags)}`]),
    ...(asksForKey
      ? [`It asks for the Wi-Fi key${profile === undefined ? '; scripts give it with --wifi-key-file' : ''}.`]
      : []),
  ];
}
