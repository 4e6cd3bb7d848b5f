import { Flags } from '@oclif/core';
import type { ProjectRequest } from '../project/project.js';

const several = { multiple: true, multipleNonGreedy: true } as const;

/** Flags of commands that read a project. */
export const projectFlags = {
  source: Flags.string({ default: '.', helpValue: '<folder>', summary: 'Project folder.' }),
  file: Flags.string({
    ...several,
    helpValue: '<path>',
    summary: 'Compose file inside the project folder, or a Dockerfile. Several compose files are laid over each other.',
  }),
  profile: Flags.string({
    ...several,
    helpValue: '<name>',
    summary: 'Also run the services of a profile of the compose file. Can be repeated.',
  }),
  'env-file': Flags.string({
    ...several,
    helpValue: '<path>',
    summary: 'File with values for variables in compose files, in the place of .env. Can be repeated.',
  }),
  gitignore: Flags.boolean({ summary: 'Also keep out of builds what git ignores.' }),
  'convert-eol': Flags.boolean({
    allowNo: true,
    summary: 'Send text files with the line ends of Unix. [default: on Windows]',
  }),
};

/** The values of `projectFlags` after parsing. */
export interface ProjectFlagValues {
  readonly source: string;
  readonly file?: readonly string[] | undefined;
  readonly profile?: readonly string[] | undefined;
  readonly 'env-file'?: readonly string[] | undefined;
  readonly gitignore: boolean;
  readonly 'convert-eol'?: boolean | undefined;
}

/** The project that the flags name. */
export function projectRequestFrom(flags: ProjectFlagValues): ProjectRequest {
  return {
    folder: flags.source,
    files: flags.file,
    profiles: flags.profile,
    envFiles: flags['env-file'],
    usesGitignore: flags.gitignore,
    convertsLineEnds: flags['convert-eol'],
  };
}
